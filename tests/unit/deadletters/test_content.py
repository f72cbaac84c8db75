"""What is read from a message's bytes, and what a message is made into for another life."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from kombu.compression import compress
from kombu.utils.json import dumps

from platform.deadletters.content import content_of, fingerprint, headers_of, revived, with_arguments
from platform.envelope import Envelope, from_text
from platform.serialization import CONTENT_TYPE, NotJSON, decode

EMBED = {"callbacks": None, "errbacks": None, "chain": [{"task": "shop.next"}], "chord": None}
SENT = Envelope(
    body=json.dumps([[1, "ü"], {"b": 2}, EMBED]).encode(),
    headers={"id": "x", "task": "shop.add", "retries": 3, "eta": "2026-01-01T00:00:00Z", "expires": "bad", "own": 1},
    content_type=CONTENT_TYPE,
    content_encoding="utf-8",
    properties={"correlation_id": "x", "priority": 7, "expiration": "5000"},
    queue="offload",
)


def read(envelope: Envelope) -> Any:
    return content_of(envelope.as_text().encode(), "offload")


def test_the_arguments_of_a_message_are_read() -> None:
    found = read(SENT)
    assert (found.args, found.kwargs, found.embed, found.problem) == ([1, "ü"], {"b": 2}, EMBED, "")


def test_a_compressed_body_is_read() -> None:
    body, kind = compress(SENT.body, "gzip")
    assert read(replace(SENT, body=body).with_headers(compression=kind)).args == [1, "ü"]


def test_kombus_own_json_is_read_as_kombu_means_it() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    found = read(replace(SENT, body=dumps([[moment], {}, {}]).encode(), content_type="application/json"))
    assert found.args == ["2026-01-01T00:00:00Z"]


def test_json_that_kombu_refuses_is_read_as_it_stands() -> None:
    nope = {"__type__": "nope", "__value__": 1}
    found = read(replace(SENT, body=json.dumps([[nope], {}, {}]).encode(), content_type="application/json"))
    assert (found.args, found.problem) == ([nope], "")


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return pytest.fail, ("it was unpickled",)


@pytest.mark.parametrize(
    ("changes", "is_opaque"),
    [
        ({"body": b"not json"}, True),
        ({"body": b"[" * 100_000}, True),
        ({"body": pickle.dumps(Bomb()), "content_type": "application/x-python-serialize"}, True),
        ({"body": b"x", "headers": {"compression": "application/x-gzip"}}, True),
        ({"body": b"x", "headers": {"compression": "unheard of"}}, True),
        ({"body": b"x", "headers": {"compression": [1]}}, True),
        ({"body": b"7"}, False),
        ({"body": b"[1, 2]"}, False),
        ({"body": b"[[], [], {}]"}, False),
        ({"body": b"[{}, {}, {}]"}, False),
    ],
)
def test_what_has_no_arguments_says_why(changes: dict[str, Any], is_opaque: bool) -> None:
    found = read(replace(SENT, **changes))
    assert (found.args, found.kwargs, found.is_opaque) == ([], {}, is_opaque)
    assert found.problem


@pytest.mark.parametrize("message", [b"", b"\xff", b"7", b'{"body": ""}'])
def test_bytes_that_are_no_message_have_no_envelope(message: bytes) -> None:
    found = content_of(message, "offload")
    assert (found.envelope, found.is_opaque) == (None, True)


def test_another_life_begins_without_retries_and_without_times() -> None:
    again = revived(SENT, b"")
    renewed = {"retries": 0, "eta": None, "expires": None, "replays": 1}
    assert again.headers == {"id": "x", "task": "shop.add", "own": 1, **renewed}
    assert revived(again, b"").headers["replays"] == 2
    assert (again.body, again.priority) == (SENT.body, 7)
    assert "expiration" not in again.properties


def test_copies_of_a_message_have_one_fingerprint_and_others_another() -> None:
    one = fingerprint(SENT.as_text().encode())
    assert fingerprint(SENT.as_text().encode()) == one  # under another delivery tag
    others = [SENT.with_headers(retries=4).as_text().encode(), replace(SENT, body=b"x").as_text().encode(), b"x", b"7"]
    assert len({one, *(fingerprint(other) for other in others)}) == 5
    assert fingerprint(b"") == ""


@pytest.mark.parametrize(("message", "headers"), [(b'{"headers": {"id": "x"}, "body": 7}', {"id": "x"}), (b"7", None)])
def test_headers_are_read_where_the_rest_cannot_be(message: bytes, headers: dict[str, str] | None) -> None:
    assert headers_of(message) == headers


def test_edited_arguments_keep_what_is_embedded() -> None:
    body = with_arguments(read(SENT), [5], None)
    again = revived(SENT.with_headers(compression="application/x-gzip", argsrepr="(1,)"), body)
    assert decode(again.body) == [[5], {"b": 2}, EMBED]
    assert again.content_type == CONTENT_TYPE
    assert not {"compression", "argsrepr"} & set(again.headers)
    assert from_text(again.as_text()).body == body


def test_arguments_that_are_no_json_are_refused() -> None:
    with pytest.raises(NotJSON):
        with_arguments(read(SENT), [object()], None)
