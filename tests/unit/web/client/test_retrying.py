from __future__ import annotations

import socket
import time

import httpx2
import pytest

from tests.unit.web.client.conftest import Answer, Ask, Server, job, problem
from web.client import Client, RateLimitError, ServerUnreachable, ServiceUnavailable

AWAY = problem(503, "the broker is away", headers={"Retry-After": "0"})
BUSY = problem(429, "too many requests", headers={"Retry-After": "0"})
OK = Answer(200, job())


@pytest.mark.parametrize("trouble", [AWAY, BUSY])
@pytest.mark.parametrize(
    ("name", "args"), [("jobs.get", ["j"]), ("jobs.cancel", ["j"]), ("resources.put", ["p", "t", "n", {}])]
)
def test_what_is_safe_to_repeat_is_repeated(
    server: Server, ask: Ask, trouble: Answer, name: str, args: list[object]
) -> None:
    server.answers(trouble, trouble, OK)
    assert ask(name, *args).job_id == "j-1"
    assert len(server.received) == 3


@pytest.mark.parametrize(("trouble", "error"), [(AWAY, ServiceUnavailable), (BUSY, RateLimitError)])
def test_a_post_is_sent_once(server: Server, ask: Ask, trouble: Answer, error: type[Exception]) -> None:
    server.answers(trouble, OK)
    with pytest.raises(error) as caught:
        ask("jobs.submit", "shop.add")
    assert (len(server.received), caught.value.retry_after) == (1, 0)


def test_a_post_with_an_idempotency_key_is_repeated_with_the_same_key(server: Server, ask: Ask) -> None:
    server.answers(AWAY, OK)
    ask("jobs.submit", "shop.add", idempotency_key="once")
    assert [request.headers["Idempotency-Key"] for request in server.received] == ["once", "once"]


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 500, 502])
def test_what_will_not_pass_is_not_repeated(server: Server, ask: Ask, status: int) -> None:
    server.answers(problem(status, "no"))
    with pytest.raises(Exception, match="no"):
        ask("jobs.get", "j-1")
    assert len(server.received) == 1


def test_a_retry_after_is_waited_for(server: Server, ask: Ask) -> None:
    server.answers(problem(503, "away", headers={"Retry-After": "0.5"}), OK)
    began = time.monotonic()
    ask("jobs.get", "j-1")
    assert time.monotonic() - began >= 0.5


def test_a_retry_after_longer_than_the_time_left_is_raised_at_once(server: Server, ask: Ask) -> None:
    server.answers(problem(503, "away", headers={"Retry-After": "60"}), OK)
    began = time.monotonic()
    with pytest.raises(ServiceUnavailable) as caught:
        ask("jobs.get", "j-1")
    assert (caught.value.retry_after, len(server.received)) == (60, 1)
    assert time.monotonic() - began < 2


def test_repeating_ends_with_the_time(server: Server, ask: Ask) -> None:
    server.answers(AWAY)
    began = time.monotonic()
    with pytest.raises(ServiceUnavailable):
        ask.of(server.url, timeout_s=0.3)("jobs.get", "j-1")
    assert len(server.received) > 1
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("header", "at_least", "at_most"),
    [
        ("3", 3, 3),
        ("1.5", 1.5, 1.5),
        ("-4", 0, 0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 2e9, 4e9),
        ("Fri, 01 Jan 2010 00:00:00 GMT", 0, 0),
    ],
)
def test_retry_after_is_read_in_both_forms(
    server: Server, ask: Ask, header: str, at_least: float, at_most: float
) -> None:
    server.answers(problem(429, "too many", headers={"Retry-After": header}))
    with pytest.raises(RateLimitError) as caught:
        ask("jobs.submit", "shop.add")
    assert at_least <= caught.value.retry_after <= at_most


@pytest.mark.parametrize("header", ["", "soon", "nan", "inf"])
def test_an_unreadable_retry_after_is_none(server: Server, ask: Ask, header: str) -> None:
    server.answers(problem(429, "too many", headers={"Retry-After": header}))
    with pytest.raises(RateLimitError) as caught:
        ask("jobs.submit", "shop.add")
    assert caught.value.retry_after is None


def test_a_server_that_is_not_there_is_named(ask: Ask) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ServerUnreachable, match=f"GET {url}/health got no answer"):
            ask.of(url, timeout_s=0.3)("health")


def test_a_server_that_does_not_answer_is_given_up(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(ServerUnreachable):
            ask.of(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.3)("health")
        assert time.monotonic() - began < 2


def test_a_lost_connection_is_tried_again() -> None:
    attempts = []

    def lose_the_first(request: httpx2.Request) -> httpx2.Response:
        attempts.append(request)
        if len(attempts) == 1:
            raise httpx2.RemoteProtocolError("server disconnected without sending a response")
        return httpx2.Response(200, json={"status": "ok"})

    with Client("http://test", transport=httpx2.MockTransport(lose_the_first)) as client:
        assert client.health() == {"status": "ok"}
    assert len(attempts) == 2
