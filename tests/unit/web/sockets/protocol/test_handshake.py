"""The opening handshake, from an environ as gunicorn makes it."""

from __future__ import annotations

import pickle
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.sockets.protocol.handshake import BadHandshake, accept

#: The example of RFC 6455, section 1.3.
KEY, PROOF = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def environ(**headers: str | None) -> dict[str, Any]:
    """A good handshake with some headers replaced or, by None, left out: ``environ(upgrade="h2c")``."""
    good = {
        "host": "127.0.0.1",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec_websocket_key": KEY,
        "sec_websocket_version": "13",
    }
    sent = {f"HTTP_{name.upper()}": value for name, value in (good | headers).items() if value is not None}
    return {"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1"} | sent


def refusal(request: dict[str, Any]) -> BadHandshake:
    with pytest.raises(BadHandshake) as caught:
        accept(request)
    return caught.value


def headers_of(answer: bytes) -> dict[str, str]:
    first, *lines = answer.decode("ascii").removesuffix("\r\n\r\n").split("\r\n")
    assert first == "HTTP/1.1 101 Switching Protocols"
    return dict(line.split(": ", 1) for line in lines)


def test_the_example_of_the_rfc_is_accepted() -> None:
    answer = accept(environ())
    assert answer.endswith(b"\r\n\r\n")
    assert headers_of(answer) == {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": PROOF}


@pytest.mark.parametrize(
    "headers",
    [
        {"connection": "keep-alive, Upgrade"},
        {"connection": "UPGRADE"},
        {"connection": " upgrade ,keep-alive"},
        {"upgrade": "WebSocket"},
        {"upgrade": "h2c, websocket"},
        {"sec_websocket_key": f" {KEY} "},
        {"sec_websocket_version": " 13"},
        {"origin": "https://elsewhere.example"},
        {"content_length": "0"},
    ],
    ids=str,
)
def test_tokens_may_be_in_lists_and_any_case(headers: dict[str, str]) -> None:
    assert headers_of(accept(environ(**headers)))["Sec-WebSocket-Accept"] == PROOF


@pytest.mark.parametrize(
    "offer", ["permessage-deflate", "permessage-deflate; client_max_window_bits, x-webkit-deflate"]
)
def test_no_extension_is_accepted(offer: str) -> None:
    assert "Sec-WebSocket-Extensions" not in headers_of(accept(environ(sec_websocket_extensions=offer)))


@pytest.mark.parametrize(
    ("offer", "chosen"),
    [
        ("platform.v1", "platform.v1"),
        ("graphql-ws, platform.v1", "platform.v1"),
        ("platform.v1,other", "platform.v1"),
        ("", None),
        ("graphql-ws", None),
        ("Platform.V1", None),
        ("platform.v10", None),
        ("platform.v1, platform.v1", None),
    ],
)
def test_our_subprotocol_is_chosen_where_it_is_offered_once(offer: str, chosen: str | None) -> None:
    assert headers_of(accept(environ(sec_websocket_protocol=offer))).get("Sec-WebSocket-Protocol") == chosen


# -- what is refused


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"upgrade": None}, "Upgrade"),
        ({"upgrade": "h2c"}, "Upgrade"),
        ({"upgrade": "websocket2"}, "Upgrade"),
        ({"connection": None}, "Connection"),
        ({"connection": "keep-alive"}, "Connection"),
        ({"connection": "keep-alive-upgrade"}, "Connection"),
        ({"host": None}, "Host"),
        ({"sec_websocket_key": None}, "Sec-WebSocket-Key"),
        ({"sec_websocket_key": ""}, "Sec-WebSocket-Key"),
        ({"sec_websocket_key": "c2hvcnQ="}, "16 bytes"),
        ({"sec_websocket_key": "dGhlIHNhbXBsZSBub25jZSE="}, "16 bytes"),
        ({"sec_websocket_key": KEY.rstrip("=")}, "base64"),
        ({"sec_websocket_key": "dGhlIHNhbXBsZSBub25j!Q=="}, "base64"),
        ({"sec_websocket_key": "dGhlIHNhbXBsZSBub25j\xe9Q=="}, "base64"),
        ({"sec_websocket_key": f"{KEY},{KEY}"}, "base64"),
        ({"transfer_encoding": "chunked"}, "body"),
    ],
    ids=str,
)
def test_a_handshake_that_is_not_right_is_400(headers: dict[str, str | None], says: str) -> None:
    refused = refusal(environ(**headers))
    assert (refused.status, dict(refused.headers)) == (400, {})
    assert says in str(refused) == refused.detail


def test_a_handshake_with_a_body_is_400() -> None:
    assert refusal(environ() | {"CONTENT_LENGTH": "5"}).status == 400
    assert (
        accept(environ() | {"CONTENT_LENGTH": "0"}) == accept(environ() | {"CONTENT_LENGTH": ""}) == accept(environ())
    )


def test_an_old_proxy_is_named() -> None:
    refused = refusal(environ() | {"SERVER_PROTOCOL": "HTTP/1.0"})
    assert (refused.status, "proxy" in refused.detail) == (400, True)


@pytest.mark.parametrize("version", [None, "", "8", "12", "14", "013", "13, 8", "13,13", "thirteen"])
def test_another_version_is_told_ours(version: str | None) -> None:
    refused = refusal(environ(sec_websocket_version=version))
    assert (refused.status, refused.headers["Sec-WebSocket-Version"]) == (426, "13")


@pytest.mark.parametrize(
    ("upgrade", "connection"),
    [(None, None), (None, "keep-alive"), (None, "Upgrade"), ("h2c", "Upgrade, HTTP2-Settings")],
)
def test_a_plain_get_is_told_to_upgrade(upgrade: str | None, connection: str | None) -> None:
    plain = environ(upgrade=upgrade, connection=connection, sec_websocket_key=None, sec_websocket_version=None)
    refused = refusal(plain)
    assert (refused.status, refused.headers["Upgrade"]) == (426, "websocket")


def test_a_refusal_survives_pickling() -> None:
    refused = refusal(environ(sec_websocket_version="8"))
    copy = pickle.loads(pickle.dumps(refused))
    assert (type(copy), str(copy), vars(copy)) == (type(refused), str(refused), vars(refused))


NAMES = ("host", "upgrade", "connection", "sec_websocket_key", "sec_websocket_version", "sec_websocket_protocol")


@given(st.dictionaries(st.sampled_from(NAMES), st.none() | st.text(st.characters(max_codepoint=255), max_size=40)))
def test_any_headers_are_accepted_or_refused(headers: dict[str, str | None]) -> None:
    with suppress(BadHandshake):
        headers_of(accept(environ(**headers)))
