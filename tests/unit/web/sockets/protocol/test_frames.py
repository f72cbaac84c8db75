"""The decoder of client frames and the encoder of server frames, byte by byte."""

from __future__ import annotations

import os
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from web.sockets.protocol.frames import (
    Binary,
    Close,
    Decoder,
    Event,
    Opcode,
    Ping,
    Pong,
    Text,
    Violation,
    close_frame,
    encode,
    text_frame,
)

MAX_BYTES = 1000
#: Whole messages have been this long in masks and lengths of every form.
LENGTHS = (0, 1, 2, 3, 4, 5, 7, 125, 126, 127, 128, 65_535, 65_536, 65_537)
#: What no text may begin with, as bytes that come one after the other; the last byte decides.
NEVER_UTF8 = ("80", "c0", "c1", "c3 28", "e0 80", "ed a0", "f0 80", "f4 90", "f5", "ff", "e2 82 28", "f0 9f 98 41")


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    mask: bytes = b"\x01\x80\xff\x37",
    length: bytes | None = None,
) -> bytes:
    """What a client sends; ``length`` in place of the right one, without the bit that says it is masked."""
    if length is None:
        length = encode(0, payload)[1 : -len(payload) or None]
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return bytes((fin << 7 | opcode, 0x80 | length[0])) + length[1:] + mask + masked


def decoded(data: bytes, max_bytes: int = MAX_BYTES) -> list[Event]:
    return Decoder(max_bytes).feed(data)


def codes(events: list[Event]) -> list[int]:
    return [event.code for event in events if isinstance(event, Violation)]


def only_code(data: bytes) -> int:
    """The code of the violation that is the only event of ``data``."""
    (event,) = decoded(data)
    assert isinstance(event, Violation), event
    return event.code


# -- what is understood


@pytest.mark.parametrize(
    ("data", "event"),
    [
        (frame(1, b"hello"), Text("hello")),
        (frame(1), Text("")),
        (frame(1, "é€😀".encode()), Text("é€😀")),
        (frame(2, b"\x00\xff"), Binary(b"\x00\xff")),
        (frame(9), Ping(b"")),
        (frame(9, b"p" * 125), Ping(b"p" * 125)),
        (frame(10, b"q"), Pong(b"q")),
        (frame(8), Close(None, "")),
        (frame(8, b"\x03\xe8"), Close(1000, "")),
        (frame(8, b"\x03\xe8" + "até".encode()), Close(1000, "até")),
    ],
    ids=str,
)
def test_one_frame_is_one_event(data: bytes, event: Event) -> None:
    assert decoded(data) == [event]


def test_the_example_of_the_rfc_is_understood() -> None:
    assert decoded(bytes.fromhex("81 85 37 fa 21 3d 7f 9f 4d 51 58")) == [Text("Hello")]


@pytest.mark.parametrize("length", LENGTHS)
def test_a_message_of_any_length_is_unmasked(length: int) -> None:
    payload = os.urandom(length)
    assert decoded(frame(2, payload, mask=os.urandom(4)), 70_000) == [Binary(payload)]


def test_a_mask_of_zeros_and_one_that_makes_zeros_are_masks() -> None:
    assert decoded(frame(2, b"abcdef", mask=bytes(4))) == [Binary(b"abcdef")]
    assert decoded(frame(2, b"abcdabcd", mask=b"abcd")) == [Binary(b"abcdabcd")]


def test_fragments_are_one_message_and_pings_may_stand_between_them() -> None:
    data = frame(1, b"a", fin=False) + frame(9, b"?") + frame(0, b"b", fin=False) + frame(10) + frame(0, b"c")
    assert decoded(data + frame(1, b"next")) == [Ping(b"?"), Pong(b""), Text("abc"), Text("next")]


def test_a_character_may_lie_across_fragments() -> None:
    first, *between, last = (bytes((byte,)) for byte in "😀€".encode())
    data = frame(1, first, fin=False) + b"".join(frame(0, one, fin=False) for one in between) + frame(0, last)
    assert decoded(data) == [Text("😀€")]


def test_binary_fragments_need_not_be_text() -> None:
    assert decoded(frame(2, b"\xff", fin=False) + frame(0, b"\x80")) == [Binary(b"\xff\x80")]


def test_fragments_may_be_empty() -> None:
    data = frame(1, fin=False) + frame(0, fin=False) + frame(0, b"a", fin=False) + frame(0)
    assert decoded(data) == [Text("a")]
    assert decoded(frame(2, fin=False) + frame(0)) == [Binary(b"")]


# -- what breaks the protocol

UNMASKED = bytes.fromhex("81 01 61")
BROKEN = {
    "unmasked text": UNMASKED,
    "unmasked empty ping": bytes.fromhex("89 00"),
    "reserved bit 1": frame(0x40 | 1, b"a"),
    "reserved bit 2": frame(0x20 | 1, b"a"),
    "reserved bit 3": frame(0x10 | 1, b"a"),
    "all reserved bits, of a ping": frame(0x70 | 9),
    **{f"opcode {opcode}": frame(opcode) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "fragmented ping": frame(9, fin=False),
    "fragmented close": frame(8, fin=False),
    "ping of 126 bytes": frame(9, b"p" * 126),
    "close of 126 bytes": frame(8, b"\x03\xe8" + b"r" * 124),
    "ping with a length in 8 bytes": frame(9, length=bytes((127, *bytes(8)))),
    "5 in two bytes": frame(1, b"hello", length=bytes((126, 0, 5))),
    "125 in two bytes": frame(1, b"h" * 125, length=bytes((126, 0, 125))),
    "126 in eight bytes": frame(1, b"h" * 126, length=bytes((127, *(126).to_bytes(8, "big")))),
    "65535 in eight bytes": frame(1, length=bytes((127, *(65_535).to_bytes(8, "big")))),
    "a negative length": frame(1, length=bytes((127, *(1 << 63).to_bytes(8, "big")))),
    "continuation of nothing": frame(0, b"a"),
    "unfinished continuation of nothing": frame(0, b"a", fin=False),
    "close of one byte": frame(8, b"\x03"),
}
BAD_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
GOOD_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)


@pytest.mark.parametrize("what", BROKEN)
def test_it_is_a_protocol_error(what: str) -> None:
    assert only_code(BROKEN[what]) == 1002


@pytest.mark.parametrize("opcode", [1, 2])
def test_a_message_inside_another_is_a_protocol_error(opcode: int) -> None:
    assert only_code(frame(1, b"a", fin=False) + frame(opcode, b"b")) == 1002


def test_after_a_message_has_ended_there_is_nothing_to_continue() -> None:
    events = decoded(frame(1, b"a", fin=False) + frame(0, b"b") + frame(0, b"c"))
    assert (events[0], codes(events)) == (Text("ab"), [1002])


@pytest.mark.parametrize("code", BAD_CODES)
def test_a_close_code_that_may_not_be_sent_is_a_protocol_error(code: int) -> None:
    assert only_code(frame(8, code.to_bytes(2, "big"))) == 1002


@pytest.mark.parametrize("code", GOOD_CODES)
def test_a_close_code_that_may_be_sent_is_told(code: int) -> None:
    assert decoded(frame(8, code.to_bytes(2, "big") + b"why")) == [Close(code, "why")]


def test_a_close_reason_that_is_not_utf8_is_invalid() -> None:
    assert only_code(frame(8, b"\x03\xe8\xff")) == 1007


@pytest.mark.parametrize("text", NEVER_UTF8)
def test_a_text_that_is_not_utf8_is_invalid(text: str) -> None:
    assert only_code(frame(1, b"ab" + bytes.fromhex(text))) == 1007


@pytest.mark.parametrize("text", NEVER_UTF8)
def test_a_text_that_cannot_become_utf8_is_not_waited_for(text: str) -> None:
    *good, bad = (bytes((byte,)) for byte in bytes.fromhex(text))
    decoder = Decoder(MAX_BYTES)
    assert decoder.feed(frame(1, b"ab", fin=False) + b"".join(frame(0, one, fin=False) for one in good)) == []
    assert codes(decoder.feed(frame(0, bad, fin=False))) == [1007]


@pytest.mark.parametrize("ends", [frame(1, b"\xe2\x82"), frame(1, b"\xe2", fin=False) + frame(0, b"\x82")])
def test_a_text_that_ends_within_a_character_is_invalid(ends: bytes) -> None:
    assert only_code(ends) == 1007


# -- how large a message may be


def test_a_message_of_the_limit_is_taken() -> None:
    whole = frame(2, b"x" * MAX_BYTES)
    parts = frame(2, b"x" * (MAX_BYTES - 1), fin=False) + frame(0, b"x", fin=False) + frame(0)
    assert decoded(whole + parts) == [Binary(b"x" * MAX_BYTES)] * 2


@pytest.mark.parametrize("opcode", [1, 2])
@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("length", [MAX_BYTES + 1, 65_536, (1 << 63) - 1])
def test_a_message_that_is_announced_as_too_large_is_not_waited_for(opcode: int, fin: bool, length: int) -> None:
    in_bytes = (127, *length.to_bytes(8, "big")) if length > 65_535 else (126, *length.to_bytes(2, "big"))
    header = frame(opcode, fin=fin, length=bytes(in_bytes))
    without_mask = header[:-4]
    assert decoded(without_mask[:-1]) == []
    assert only_code(without_mask) == 4413


def test_fragments_are_too_large_together() -> None:
    decoder = Decoder(MAX_BYTES)
    assert decoder.feed(frame(1, b"x" * 600, fin=False) + frame(0, b"x" * 400, fin=False)) == []
    assert codes(decoder.feed(frame(0, b"x"))) == [4413]


def test_every_message_has_the_limit_for_itself() -> None:
    one = frame(2, b"x" * 600, fin=False) + frame(0, b"x" * 400)
    assert len(decoded(one * 3)) == 3


def test_a_control_frame_does_not_count_into_the_message_it_interrupts() -> None:
    decoder = Decoder(2)
    data = frame(2, b"xx", fin=False) + frame(9, b"p" * 125) + frame(0)
    assert decoder.feed(data) == [Ping(b"p" * 125), Binary(b"xx")]


# -- the end


def test_what_came_before_a_violation_is_not_lost() -> None:
    assert decoded(frame(1, b"a") + frame(9) + UNMASKED)[:2] == [Text("a"), Ping(b"")]


@pytest.mark.parametrize("last", [UNMASKED, frame(8, b"\x03\xe8"), frame(1, b"\xff")])
def test_nothing_is_read_after_the_end(last: bytes) -> None:
    decoder = Decoder(MAX_BYTES)
    assert len(decoder.feed(last + frame(1, b"late") + UNMASKED)) == 1
    assert decoder.feed(frame(1, b"later")) == decoder.feed(b"\xff" * 20) == []


def test_a_message_left_open_is_dropped_by_a_close() -> None:
    assert decoded(frame(1, b"a", fin=False) + frame(8)) == [Close(None, "")]


# -- what it costs


def test_an_idle_decoder_holds_no_bytes() -> None:
    decoder = Decoder(70_000)
    fresh = _held_bytes(decoder)
    parts = frame(1, b"x" * 500, fin=False) + frame(0, b"x" * 500)
    for data in (frame(1, b"x" * 65_536), parts):
        for at in range(0, len(data), 301):
            decoder.feed(data[at : at + 301])
        assert _held_bytes(decoder) == fresh < 250


def test_the_end_frees_what_was_under_way() -> None:
    decoder = Decoder(70_000)
    decoder.feed(frame(1, b"x" * 60_000, fin=False) + UNMASKED)
    assert _held_bytes(decoder) < 250


def test_empty_fragments_take_no_memory() -> None:
    decoder = Decoder(MAX_BYTES)
    decoder.feed(frame(1, b"\xe2", fin=False))
    before = _held_bytes(decoder)
    for _ in range(100):
        assert decoder.feed(frame(0, fin=False) * 1000) == []
    assert _held_bytes(decoder) == before


def _held_bytes(decoder: Decoder) -> int:
    """Of the decoder and the objects its attributes, and theirs, are of its own."""
    held = [getattr(decoder, name) for name in Decoder.__slots__]
    fragments = [getattr(one, name) for one in held for name in getattr(one, "__slots__", ())]
    return sum(sys.getsizeof(one) for one in (decoder, *held, *fragments))


# -- any messages, split in any way

small = st.binary(max_size=200) | st.sampled_from([b"x" * 126, b"x" * 999])
masks = st.binary(min_size=4, max_size=4)
texts = st.text(max_size=100)
controls = st.builds(Ping, st.binary(max_size=125)) | st.builds(Pong, st.binary(max_size=125))
messages = st.builds(Text, texts) | st.builds(Binary, small)
closes = st.builds(Close, st.sampled_from(GOOD_CODES), st.text(max_size=30)) | st.just(Close(None, ""))


def _sent(event: Event, draw: st.DrawFn) -> tuple[bytes, list[Event]]:
    """Frames that make an event, and the events they make: pings may come between the fragments of a message."""
    match event:
        case Ping(data) | Pong(data):
            return frame(9 if isinstance(event, Ping) else 10, data, mask=draw(masks)), [event]
        case Close(None):
            return frame(8, mask=draw(masks)), [event]
        case Close(code, reason):
            return frame(8, code.to_bytes(2, "big") + reason.encode(), mask=draw(masks)), [event]
    payload = event.data.encode() if isinstance(event, Text) else event.data
    return _fragmented(1 if isinstance(event, Text) else 2, payload, event, draw)


def _fragmented(opcode: int, payload: bytes, event: Event, draw: st.DrawFn) -> tuple[bytes, list[Event]]:
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4)))
    pieces = [payload[a:b] for a, b in pairwise((0, *cuts, len(payload)))]
    data, events = b"", []
    for number, piece in enumerate(pieces):
        is_last = number == len(pieces) - 1
        data += frame(opcode if number == 0 else 0, piece, fin=is_last, mask=draw(masks))
        between = [] if is_last else draw(st.lists(controls, max_size=1))
        data += b"".join(_sent(one, draw)[0] for one in between)
        events += between
    return data, [*events, event]


@st.composite
def conversations(draw: st.DrawFn) -> tuple[bytes, list[Event]]:
    data, events = b"", []
    for event in draw(st.lists(messages | controls, max_size=6)) + draw(st.lists(closes, max_size=1)):
        sent, made = _sent(event, draw)
        data, events = data + sent, events + made
    return data, events


def _in_chunks(data: bytes, cuts: list[int], max_bytes: int = MAX_BYTES) -> list[Event]:
    decoder = Decoder(max_bytes)
    places = sorted(cut % (len(data) + 1) for cut in cuts)
    return [event for a, b in pairwise((0, *places, len(data))) for event in decoder.feed(data[a:b])]


cut_lists = st.lists(st.integers(0, 10_000), max_size=12)


@given(conversations(), cut_lists)
def test_any_messages_split_anywhere_are_the_same_events(said: tuple[bytes, list[Event]], cuts: list[int]) -> None:
    data, events = said
    assert _in_chunks(data, cuts) == _in_chunks(data, list(range(len(data)))) == events


# Bytes that look like frames go deeper than any bytes do.
nearly_frames = st.lists(
    st.builds(
        frame,
        st.integers(0, 15) | st.sampled_from([0, 1, 1, 1, 2, 8, 9]),
        st.binary(max_size=130),
        fin=st.booleans(),
        mask=masks,
        length=st.none()
        | st.none()
        | st.binary(min_size=1, max_size=9).map(lambda raw: bytes((raw[0] & 0x7F, *raw[1:]))),
    )
    | st.binary(max_size=20),
    max_size=8,
).map(b"".join)


@hypothesis_settings(max_examples=500)
@given(st.binary() | nearly_frames, cut_lists)
def test_no_bytes_raise_and_splitting_them_changes_nothing(data: bytes, cuts: list[int]) -> None:
    whole = decoded(data, 150)
    assert _in_chunks(data, cuts, 150) == _in_chunks(data, list(range(len(data))), 150) == whole
    assert not [event for event in whole[:-1] if isinstance(event, Violation | Close)]


@given(st.binary(max_size=4))
def test_a_header_cut_short_is_waited_for_or_refused(data: bytes) -> None:
    assert all(isinstance(event, Violation) for event in decoded(b"\x81" + data[:1]))


# -- what the server sends


@pytest.mark.parametrize(
    ("length", "header"),
    [
        (0, "81 00"),
        (125, "81 7d"),
        (126, "81 7e 00 7e"),
        (65_535, "81 7e ff ff"),
        (65_536, "81 7f 00 00 00 00 00 01 00 00"),
    ],
)
def test_a_frame_is_unmasked_with_the_shortest_length(length: int, header: str) -> None:
    payload = b"x" * length
    assert text_frame(payload) == bytes.fromhex(header) + payload


@pytest.mark.parametrize("opcode", Opcode)
def test_a_frame_has_its_opcode_and_is_the_last(opcode: Opcode) -> None:
    assert encode(opcode, b"ab") == bytes((0x80 | opcode, 2)) + b"ab"


def test_a_close_frame_has_code_and_reason() -> None:
    assert close_frame(4401) == bytes.fromhex("88 02 11 31")
    assert close_frame(1000, "até") == b"\x88\x06\x03\xe8" + "até".encode()


@pytest.mark.parametrize(("reason", "sent"), [("r" * 123, 123), ("r" * 124, 123), ("é" * 62, 122), ("😀" * 31, 120)])
def test_a_long_reason_is_cut_between_characters(reason: str, sent: int) -> None:
    raw = close_frame(1011, reason)
    assert (raw[1], len(raw)) == (sent + 2, sent + 4)
    assert reason.startswith(raw[4:].decode())


def test_a_reason_that_has_no_utf8_is_sent_nevertheless() -> None:
    assert close_frame(1011, "a\ud800b")[4:] == b"a?b"
