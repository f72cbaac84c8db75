from __future__ import annotations

import json
import ssl

import pytest
from websockets.exceptions import (
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidMessage,
    InvalidStatus,
    InvalidUpgrade,
)
from websockets.frames import Close
from websockets.http11 import Headers, Response

from web.client import (
    APIError,
    AuthenticationError,
    NotFoundError,
    RateLimitError,
    ServerUnreachable,
    ServiceUnavailable,
    SocketClosed,
)
from web.client.sockets.loss import Hangup, Loss, loss_of
from web.client.sockets.reconnecting import Reconnecting

URL = "ws://platform.example/ws"


def closed(code: int, reason: str = "") -> Loss:
    return loss_of(ConnectionClosedError(Close(code, reason), Close(code, reason), True), URL)


def answered(status: int, **headers: str) -> Loss:
    named = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return loss_of(InvalidStatus(Response(status, "…", named)), URL)


def pause_s(loss: Loss, *, jitter: float = 1.0, has_fresh_tokens: bool = True) -> float | None:
    return Reconnecting(has_fresh_tokens, lambda: jitter).pause_s(loss)


def test_pauses_grow_from_half_a_second_to_thirty() -> None:
    reconnecting = Reconnecting(True, lambda: 1.0)
    assert [reconnecting.pause_s(closed(1011)) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_jitter_takes_any_part_of_the_pause() -> None:
    assert [pause_s(closed(1011), jitter=jitter) for jitter in (0.0, 0.5)] == [0.0, 0.25]
    assert 0 <= (Reconnecting(True).pause_s(closed(1011)) or 0) <= 0.5


def test_a_connection_that_was_of_use_begins_anew() -> None:
    reconnecting = Reconnecting(True, lambda: 1.0)
    assert [reconnecting.pause_s(closed(1011)) for _ in range(3)] == [0.5, 1, 2]
    reconnecting.settle()
    assert reconnecting.pause_s(closed(1011)) == 0.5


def test_failures_for_ever_do_not_overflow() -> None:
    reconnecting = Reconnecting(True, lambda: 1.0)
    assert {reconnecting.pause_s(closed(1011)) for _ in range(3_000)} >= {30.0}


@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_after_a_restart_the_servers_own_time_is_kept(jitter: float) -> None:
    assert pause_s(closed(1012, '{"retry_after_ms":1234}'), jitter=jitter) == 1.234


@pytest.mark.parametrize(
    "reason", ["", "Service Restart", "{}", "[]", "3", '{"retry_after_ms":"soon"}', '{"retry_after_ms":null}']
)
def test_a_restart_that_names_no_time_is_like_any_loss(reason: str) -> None:
    assert pause_s(closed(1012, reason)) == 0.5


def test_a_restart_never_asks_for_less_than_nothing() -> None:
    assert pause_s(closed(1012, json.dumps({"retry_after_ms": -5}))) == 0.0


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012, 4008, 4408, 4429, 4999])
def test_after_these_codes_it_connects_again(code: int) -> None:
    assert pause_s(closed(code)) == 0.5


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1009, 4403, 4413])
def test_after_these_codes_it_does_not(code: int) -> None:
    loss = closed(code, "why")
    assert pause_s(loss) is None
    assert isinstance(loss.error, SocketClosed)
    assert loss.error.args == (code, "why")


def test_a_token_is_replaced_once_and_only_if_there_is_another() -> None:
    assert pause_s(closed(4401), has_fresh_tokens=False) is None
    reconnecting = Reconnecting(True, lambda: 1.0)
    assert [reconnecting.pause_s(closed(4401)) for _ in range(2)] == [0.5, None]


def test_a_token_that_was_good_for_a_while_is_replaced_each_time() -> None:
    reconnecting = Reconnecting(True, lambda: 1.0)
    for _ in range(3):
        assert reconnecting.pause_s(closed(4401)) == 0.5
        reconnecting.settle()


@pytest.mark.parametrize(
    "exc",
    [
        ConnectionClosedError(None, Close(1011, "keepalive ping timeout"), None),
        ConnectionClosedOK(None, None, None),
        ConnectionRefusedError("refused"),
        TimeoutError(),
        InvalidMessage("no answer"),
        Hangup("the store is away"),
        ServerUnreachable("refused"),
    ],
    ids=repr,
)
def test_trouble_on_the_way_passes(exc: Exception) -> None:
    loss = loss_of(exc, URL)
    assert pause_s(loss) == 0.5
    assert isinstance(loss.error, ServerUnreachable)


@pytest.mark.parametrize("exc", [ssl.SSLCertVerificationError("self-signed"), InvalidUpgrade("Upgrade")], ids=repr)
def test_a_server_that_is_not_the_one_meant_does_not(exc: Exception) -> None:
    assert pause_s(loss_of(exc, URL)) is None


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_handshake_is_an_authentication_error(status: int) -> None:
    loss = answered(status)
    assert isinstance(loss.error, AuthenticationError)
    assert pause_s(loss) is None


@pytest.mark.parametrize(("status", "expected"), [(404, None), (426, None), (429, 0.5), (500, 0.5), (502, 0.5)])
def test_other_answers_pass_if_they_are_trouble_of_the_servers(status: int, expected: float | None) -> None:
    loss = answered(status)
    assert pause_s(loss) == expected
    assert isinstance(loss.error, APIError)


def test_whom_all_are_told_the_same_time_spread_after_it() -> None:
    assert pause_s(answered(503, Retry_After="2"), jitter=0.5) == 2.25
    assert pause_s(answered(503, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT")) == 0.5


def test_asking_for_a_token_fails_as_any_request_does() -> None:
    assert pause_s(loss_of(ServiceUnavailable("away", 2.0), URL), jitter=0.0) == 2.0
    assert pause_s(loss_of(RateLimitError("too many", 3.0), URL), jitter=0.0) == 3.0
    assert pause_s(loss_of(APIError("trouble", 500), URL)) == 0.5
    assert pause_s(loss_of(AuthenticationError("revoked"), URL)) is None
    assert pause_s(loss_of(NotFoundError("no such route"), URL)) is None


def test_what_a_users_own_function_raises_is_raised() -> None:
    error = KeyError("token")
    loss = loss_of(error, URL)
    assert (loss.error, pause_s(loss)) == (error, None)
