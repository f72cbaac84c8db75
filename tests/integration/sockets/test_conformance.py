"""RFC 6455 over a plain TCP socket, against the real server: sections 4 to 8, opening, frames, closing and UTF-8.

Without extensions there is nothing in a conversation but these; docs/sockets.md says which code ends it. What the
server understood is seen by the ``ref`` of a ping, which it repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.integration.conftest import Shop
from tests.integration.sockets.rawclient import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    PROOF,
    TEXT,
    RawClient,
    frame,
    text,
)
from tests.processes import Web

MAX_BYTES = 70_000
#: Bytes no text may have, however it goes on after the last of them.
NEVER_UTF8 = ("80", "c0", "c1", "c3 28", "e0 80", "ed a0", "f0 80", "f4 90", "f5", "ff", "e2 82 28", "f0 9f 98 41")

Connect = Callable[[], RawClient]


@pytest.fixture(scope="module")
def web(shop: Shop) -> Web:
    return shop.start_web(socket_message_bytes=MAX_BYTES, socket_messages_per_s=1000, socket_ping_s=120)


@pytest.fixture(scope="module")
def token(shop: Shop, web: Web) -> str:
    answer = shop.caller(web).post("/session/tokens")
    assert answer.status_code == 201, answer.text
    return answer.json()["token"]


@pytest.fixture
def stranger(web: Web) -> Iterator[RawClient]:
    """A TCP connection on which nothing has been said."""
    with RawClient(web.port) as client:
        yield client


@pytest.fixture
def client(stranger: RawClient, token: str) -> RawClient:
    """A WebSocket whose ``connected`` has been read."""
    return connected(stranger, token)


@pytest.fixture(scope="module")
def bystander(web: Web, token: str) -> Iterator[RawClient]:
    """Another WebSocket to the same process, which whatever the others do must not disturb."""
    with RawClient(web.port) as client:
        yield connected(client, token)


def connected(client: RawClient, token: str) -> RawClient:
    answer = client.shake_hands(authorization=f"Bearer {token}")
    assert answer.status == 101, answer.body
    assert client.read().message["type"] == "connected"
    return client


def ping(ref: object) -> dict[str, object]:
    return {"type": "ping", "ref": ref}


def pong(ref: object) -> dict[str, object]:
    return {"type": "pong", "ref": ref}


def raw_ping(length: int) -> tuple[str, bytes]:
    """A ``ref`` and the message with it, of exactly so many bytes."""
    ref = "r" * (length - len('{"type":"ping","ref":""}'))
    return ref, f'{{"type":"ping","ref":"{ref}"}}'.encode()


def in_fragments(payload: bytes, cuts: tuple[int, ...], between: bytes = b"") -> bytes:
    """One text message in fragments that begin at 0 and at ``cuts``."""
    places = (0, *cuts, len(payload))
    pieces = [payload[a:b] for a, b in pairwise(places)]
    frames = [
        frame(CONTINUATION if number else TEXT, piece, fin=number == len(pieces) - 1)
        for number, piece in enumerate(pieces)
    ]
    return between.join(frames)


# -- messages and their lengths


def test_a_ping_message_is_answered(client: RawClient) -> None:
    assert client.ask({"type": "ping"}) == {"type": "pong"}


@pytest.mark.parametrize("length", [24, 125, 126, 127, 128, 1000, 65_535, 65_536, 65_537, MAX_BYTES])
def test_a_message_of_any_length_is_understood(client: RawClient, length: int) -> None:
    ref, message = raw_ping(length)
    client.send(frame(TEXT, message))
    assert client.read().message == pong(ref)


@pytest.mark.parametrize(
    "ref", ["κόσμε", "€", "😀", "\x7f\x80", "\u07ff\u0800", "\uffff", "\U00010000", "\U0010ffff", "\ufeff"], ids=ascii
)
def test_any_character_is_understood(client: RawClient, ref: str) -> None:
    assert client.ask(ping(ref)) == pong(ref)


@pytest.mark.parametrize("mask", ["00 00 00 00", "ff ff ff ff", "7b 22 74 79"])
def test_any_mask_is_a_mask(client: RawClient, mask: str) -> None:
    client.send(text(ping(1), mask=bytes.fromhex(mask)))
    assert client.read().message == pong(1)


# -- how the bytes come


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 6, 7, 20])
def test_a_frame_may_come_in_two_parts(client: RawClient, bystander: RawClient, cut: int) -> None:
    data = text(ping(1))
    client.send(data[:cut])
    assert bystander.ask(ping(2)) == pong(2)  # one process: it has read the first part by now
    client.send(data[cut:])
    assert client.read().message == pong(1)


@pytest.mark.parametrize("length", [40, 200, 66_000])
def test_a_frame_may_come_byte_by_byte(client: RawClient, length: int) -> None:
    ref, message = raw_ping(length)
    data = frame(TEXT, message)
    for at in range(40):
        client.send(data[at : at + 1])
    client.send(data[40:])
    assert client.read().message == pong(ref)


@pytest.mark.parametrize("count", [2, 50])
def test_many_messages_in_one_segment_are_answered_in_order(client: RawClient, count: int) -> None:
    client.send(b"".join(text(ping(ref)) for ref in range(count)))
    assert [client.read().message["ref"] for _ in range(count)] == list(range(count))


def test_a_frame_may_come_with_the_handshake(stranger: RawClient, token: str) -> None:
    answer = stranger.shake_hands(authorization=f"Bearer {token}", behind=text(ping(1)) + frame(PING, b"?"))
    assert answer.status == 101
    told = [stranger.read() for _ in range(3)]
    assert told[0].message["type"] == "connected"
    assert {(one.opcode, one.payload) for one in told[1:]} >= {(PONG, b"?")}
    assert pong(1) in [one.message for one in told[1:] if one.opcode == TEXT]


# -- fragments


@pytest.mark.parametrize(
    "cuts",
    [(0,), (12,), (5, 5, 5), (0, 0, 1), tuple(range(1, 24))],
    ids=["empty first", "two", "empty", "three", "bytes"],
)
def test_fragments_are_one_message(client: RawClient, cuts: tuple[int, ...]) -> None:
    client.send(in_fragments(b'{"type":"ping","ref":12}', cuts))
    assert client.read().message == pong(12)


def test_the_last_fragment_may_be_empty(client: RawClient) -> None:
    client.send(in_fragments(b'{"type":"ping","ref":12}', (24,)))
    assert client.read().message == pong(12)


@pytest.mark.parametrize("ref", ["é", "€", "😀"])
def test_a_character_may_lie_across_fragments(client: RawClient, ref: str) -> None:
    message = f'{{"type":"ping","ref":"{ref}"}}'.encode()
    client.send(in_fragments(message, tuple(range(22, len(message) - 2))))
    assert client.read().message == pong(ref)


def test_a_ping_between_fragments_is_answered_before_the_message(client: RawClient) -> None:
    client.send(in_fragments(b'{"type":"ping","ref":12}', (8,), between=frame(PING, b"between")))
    assert client.read().payload == b"between"
    assert client.read().message == pong(12)


def test_a_pong_between_fragments_is_ignored(client: RawClient) -> None:
    client.send(in_fragments(b'{"type":"ping","ref":12}', (3, 8, 9), between=frame(PONG, b"?")))
    assert client.read().message == pong(12)


def test_a_close_between_fragments_closes(client: RawClient) -> None:
    client.send(frame(TEXT, b"{", fin=False) + frame(CLOSE, b"\x03\xe8"))
    assert client.read_close() == 1000


def test_a_thousand_empty_fragments_are_no_message(client: RawClient) -> None:
    client.send(frame(TEXT, b"{", fin=False) + frame(CONTINUATION, fin=False) * 1000)
    client.send(frame(CONTINUATION, b'"type":"ping"}'))
    assert client.read().message == {"type": "pong"}


# -- pings and pongs


@pytest.mark.parametrize("payload", [b"", b"p", b"p" * 125, bytes(range(125, 250)), "é".encode()], ids=ascii)
def test_a_ping_is_answered_with_its_bytes(client: RawClient, payload: bytes) -> None:
    client.send(frame(PING, payload))
    answer = client.read()
    assert (answer.opcode, answer.payload) == (PONG, payload)


def test_pings_are_answered_in_order(client: RawClient) -> None:
    client.send(b"".join(frame(PING, bytes((number,))) for number in range(10)))
    assert [client.read().payload for _ in range(10)] == [bytes((number,)) for number in range(10)]


@pytest.mark.parametrize("payload", [b"", b"unasked", b"p" * 125], ids=len)
def test_a_pong_nobody_asked_for_is_ignored(client: RawClient, payload: bytes) -> None:
    client.send(frame(PONG, payload))
    assert client.ask(ping(1)) == pong(1)


# -- what is a client's error and no violation


@pytest.mark.parametrize(
    "data",
    [
        frame(BINARY, b"\x00\xff"),
        frame(BINARY),
        frame(BINARY, b'{"type":"ping"}'),
        frame(BINARY, b"\xff", fin=False) + frame(CONTINUATION, b"\xff"),
        frame(TEXT),
        frame(TEXT, b"no JSON"),
        frame(TEXT, b"[]"),
    ],
    ids=["binary", "empty binary", "JSON in binary", "fragments", "empty text", "no JSON", "no object"],
)
def test_a_bad_message_is_told_and_the_connection_stays(client: RawClient, data: bytes) -> None:
    client.send(data)
    told = client.read().message
    assert (told["type"], told["code"]) == ("error", "bad_message")
    assert client.ask(ping(1)) == pong(1)


# -- violations

BROKEN = {
    "unmasked text": text(ping(1), mask=None),
    "unmasked binary": frame(BINARY, b"b", mask=None),
    "unmasked ping": frame(PING, mask=None),
    "unmasked close": frame(CLOSE, b"\x03\xe8", mask=None),
    **{f"reserved bits {bits:03b}": text(ping(1), reserved=bits) for bits in range(1, 8)},
    "reserved bit of a ping": frame(PING, reserved=4),
    "reserved bit of a continuation": frame(TEXT, b"{", fin=False) + frame(CONTINUATION, b"}", reserved=4),
    **{f"opcode {opcode}": frame(opcode, b"x") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "fragmented ping": frame(PING, fin=False),
    "fragmented pong": frame(PONG, fin=False),
    "fragmented close": frame(CLOSE, fin=False),
    "ping of 126 bytes": frame(PING, b"p" * 126),
    "pong of 126 bytes": frame(PONG, b"p" * 126),
    "close of 126 bytes": frame(CLOSE, b"\x03\xe8" + b"r" * 124),
    "15 in two bytes": text({"type": "ping"}, length=bytes((126, 0, 15))),
    "15 in eight bytes": text({"type": "ping"}, length=bytes((127, 0, 0, 0, 0, 0, 0, 0, 15))),
    "65535 in eight bytes": frame(TEXT, length=bytes((127, 0, 0, 0, 0, 0, 0, 255, 255))),
    "a negative length": frame(TEXT, length=bytes((127, 128, 0, 0, 0, 0, 0, 0, 0))),
    "continuation of nothing": frame(CONTINUATION, b"{}"),
    "fragment of nothing": frame(CONTINUATION, b"{}", fin=False),
    "text inside text": frame(TEXT, b"{", fin=False) + text(ping(1)),
    "binary inside text": frame(TEXT, b"{", fin=False) + frame(BINARY, b"b"),
    "text inside binary": frame(BINARY, b"{", fin=False) + text(ping(1)),
    "close of one byte": frame(CLOSE, b"\x03"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_it_is_closed_with_1002(client: RawClient, what: str) -> None:
    client.send(BROKEN[what])
    assert client.read_close() == 1002


@pytest.mark.parametrize("bad", NEVER_UTF8)
def test_a_text_that_is_no_utf8_is_closed_with_1007(client: RawClient, bad: str) -> None:
    client.send(frame(TEXT, b'{"type":"' + bytes.fromhex(bad) + b'"}'))
    assert client.read_close() == 1007


@pytest.mark.parametrize("bad", NEVER_UTF8)
def test_a_text_that_cannot_become_utf8_is_closed_before_its_end(client: RawClient, bad: str) -> None:
    client.send(frame(TEXT, b'{"type":"', fin=False))
    for byte in bytes.fromhex(bad):
        client.send(frame(CONTINUATION, bytes((byte,)), fin=False))
    assert client.read_close() == 1007


def test_a_text_that_ends_within_a_character_is_closed_with_1007(client: RawClient) -> None:
    client.send(frame(TEXT, b"\xe2", fin=False) + frame(CONTINUATION, b"\x82"))
    assert client.read_close() == 1007


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, b"x" * (MAX_BYTES + 1)),
        frame(TEXT, length=bytes((127, 0, 0, 0, 0, 0, 1, 17, 113))),
        frame(BINARY, length=bytes((127, 127, *[255] * 7))),
        frame(TEXT, fin=False, length=bytes((127, 0, 0, 0, 1, 0, 0, 0, 0))),
        frame(BINARY, b"x" * MAX_BYTES, fin=False) + frame(CONTINUATION, b"x"),
    ],
    ids=["whole", "announced", "2**63 - 1", "fragment", "together"],
)
def test_a_message_that_is_too_large_is_closed_with_4413(client: RawClient, data: bytes) -> None:
    client.send(data)
    assert client.read_close() == 4413


@pytest.mark.parametrize(
    ("last", "code"),
    [(frame(3), 1002), (frame(TEXT, b"\xff"), 1007), (frame(CLOSE, b"\x03\xe8"), 1000)],
    ids=["1002", "1007", "1000"],
)
def test_a_ping_before_the_end_is_answered_and_none_after_it(client: RawClient, last: bytes, code: int) -> None:
    client.send(frame(PING, b"?") + last + frame(PING, b"late") + text(ping(1)))
    assert client.read().payload == b"?"
    assert client.read_close() == code


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 100, b"\xff" * 100, b"\x16\x03\x01\x00\xa5"])
def test_bytes_that_are_no_frames_are_closed_with_1002(client: RawClient, garbage: bytes) -> None:
    client.send(garbage)
    assert client.read_close() == 1002


# -- closing


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1014, 3000, 3999, 4000, 4999]
)
def test_a_close_is_answered_with_its_code(client: RawClient, code: int) -> None:
    client.send(frame(CLOSE, code.to_bytes(2, "big")))
    assert client.read_close() == code


@pytest.mark.parametrize("reason", ["", "até logo", "r" * 123], ids=len)
def test_a_close_may_have_a_reason(client: RawClient, reason: str) -> None:
    client.send(frame(CLOSE, b"\x03\xe8" + reason.encode()))
    assert client.read_close() == 1000


def test_a_close_without_a_code_is_answered(client: RawClient) -> None:
    client.send(frame(CLOSE))
    assert client.read_close() in {None, 1000}


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
def test_a_code_that_may_not_be_sent_is_closed_with_1002(client: RawClient, code: int) -> None:
    client.send(frame(CLOSE, code.to_bytes(2, "big")))
    assert client.read_close() == 1002


def test_a_reason_that_is_no_utf8_is_closed_with_1007(client: RawClient) -> None:
    client.send(frame(CLOSE, b"\x03\xe8\xed\xa0\x80"))
    assert client.read_close() == 1007


def test_what_was_published_just_before_a_close_is_not_lost(client: RawClient, web: Web, token: str) -> None:
    with RawClient(web.port) as follower:
        connected(follower, token)
        assert follower.ask({"type": "subscribe", "room": "farewell"})["type"] == "subscribed"
        client.send(text({"type": "publish", "room": "farewell", "data": "bye"}) + frame(CLOSE, b"\x03\xe8"))
        assert client.read_close() == 1000
        assert follower.read().message["data"] == "bye"


def test_a_second_close_is_not_answered(client: RawClient) -> None:
    client.send(frame(CLOSE, b"\x03\xe8") * 2)
    assert client.read_close() == 1000


def test_all_that_disturbed_nobody(bystander: RawClient) -> None:
    assert bystander.ask(ping(3)) == pong(3)


# -- the handshake


@pytest.fixture
def shake_hands(stranger: RawClient, token: str) -> Callable[..., Any]:
    def shake_hands(**more: Any) -> Any:
        return stranger.shake_hands(**{"authorization": f"Bearer {token}", **more})

    return shake_hands


def test_the_answer_proves_that_the_key_was_read(shake_hands: Callable[..., Any]) -> None:
    answer = shake_hands()
    named = {name: value.lower() for name, value in answer.headers.items() if name in {"upgrade", "connection"}}
    assert (answer.status, named) == (101, {"upgrade": "websocket", "connection": "upgrade"})
    assert answer.headers["sec-websocket-accept"] == PROOF


@pytest.mark.parametrize(
    "headers",
    [
        {"connection": "keep-alive, Upgrade"},
        {"connection": "UPGRADE"},
        {"upgrade": "WebSocket"},
        {"sec_websocket_extensions": "permessage-deflate; client_max_window_bits"},
        {"sec_websocket_protocol": "graphql-ws, mqtt"},
    ],
    ids=str,
)
def test_it_is_answered_with_101_and_nothing_is_agreed_on(
    stranger: RawClient, shake_hands: Callable[..., Any], headers: dict[str, str]
) -> None:
    answer = shake_hands(**headers)
    assert answer.status == 101
    assert not {"sec-websocket-extensions", "sec-websocket-protocol"} & set(answer.headers)
    assert stranger.read().message["type"] == "connected"


def test_our_subprotocol_is_agreed_on(shake_hands: Callable[..., Any]) -> None:
    answer = shake_hands(sec_websocket_protocol="platform.v1")
    assert (answer.status, answer.headers["sec-websocket-protocol"]) == (101, "platform.v1")


@pytest.mark.parametrize(
    "wrong",
    [
        {"upgrade": None},
        {"upgrade": "h2c"},
        {"connection": None},
        {"connection": "keep-alive"},
        {"host": None},
        {"sec_websocket_key": None},
        {"sec_websocket_key": ""},
        {"sec_websocket_key": "c2hvcnQ="},
        {"sec_websocket_key": "not base64 at all, !!!!!"},
        {"content_length": "5", "behind": b"hello"},
        {"first": "GET /ws HTTP/1.0"},
    ],
    ids=str,
)
def test_a_handshake_that_is_not_right_is_answered_with_400(
    stranger: RawClient, shake_hands: Callable[..., Any], wrong: dict[str, Any]
) -> None:
    assert shake_hands(**wrong).status == 400


@pytest.mark.parametrize("version", [None, "8", "14", "thirteen", "13, 8"])
def test_another_version_is_answered_with_426_and_ours(shake_hands: Callable[..., Any], version: str | None) -> None:
    answer = shake_hands(sec_websocket_version=version)
    assert (answer.status, answer.headers["sec-websocket-version"]) == (426, "13")


def test_a_plain_get_is_answered_with_426(shake_hands: Callable[..., Any]) -> None:
    answer = shake_hands(upgrade=None, connection=None, sec_websocket_key=None, sec_websocket_version=None)
    assert (answer.status, answer.headers["upgrade"], answer.headers["connection"]) == (426, "websocket", "upgrade")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_another_method_is_answered_with_405(shake_hands: Callable[..., Any], method: str) -> None:
    assert shake_hands(first=f"{method} /ws HTTP/1.1").status == 405
