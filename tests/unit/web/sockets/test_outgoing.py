from __future__ import annotations

import json

import pytest

from web.sockets.outgoing import Outgoing, outgoing


def test_channel_and_offset_stand_behind_what_a_frame_says() -> None:
    made = outgoing('{"event":"message","data":{"a":1}}', "app:shop:room:lobby", 7)
    assert (made.channel, made.offset) == ("app:shop:room:lobby", 7)
    assert made.text == '{"event":"message","data":{"a":1},"channel":"app:shop:room:lobby","offset":7}'


def test_what_has_no_place_has_no_offset() -> None:
    made = outgoing('{"event":"message","data":1}', "app:shop:user:ann:device:phone", 0)
    assert json.loads(made.text) == {"event": "message", "data": 1, "channel": "app:shop:user:ann:device:phone"}


def test_any_characters_of_a_channel_are_json() -> None:
    name = 'app:shop:room:"\\\u2028é😀'
    assert json.loads(outgoing('{"event":"message","data":1}', name, 1).text)["channel"] == name


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("x" * 125, b"\x81\x7d"),
        ("é" * 63, b"\x81\x7e\x00\x7e"),
        ("x" * 65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
    ids=["short", "longer", "long"],
)
def test_its_bytes_are_one_whole_text_message(text: str, head: bytes) -> None:
    assert Outgoing("c", 1, text).frame == head + text.encode()


def test_its_bytes_are_made_once_for_all_sockets() -> None:
    made = Outgoing("c", 1, "text")
    assert made.frame is made.frame
