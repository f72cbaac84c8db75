"""What becomes of sockets and readers when gunicorn is told to stop, or to begin again with new code."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx2
import pytest

from tests.integration.conftest import Shop
from tests.integration.sockets.conftest import (
    DEADLINE_S,
    Connect,
    Inside,
    Listener,
    Listening,
    SocketListener,
    goes_on,
    speaking,
    token_of,
)
from tests.integration.sockets.rawclient import RawClient
from tests.processes import Web
from tests.waiting import eventually

GRACEFUL_S = 30
#: As every stream says at its beginning; an EventSource that is then refused does not come again.
EVENT_SOURCE_WAITS_S = 2.0


@pytest.fixture
def web(shop: Shop) -> Web:
    """Its own for each test; what tests share is the platform behind it."""
    return shop.start_web(web_workers=2, socket_write_s=2)


@pytest.fixture
def token(shop: Shop, web: Web) -> Iterator[str]:
    with shop.caller(web) as ann:  # left open, its connection would be waited for
        yield token_of(ann)


@pytest.fixture
def shop_web(web: Web) -> Web:
    return web


def stopped(web: Web) -> None:
    web.http.close()
    web.signal(signal.SIGTERM)


# -- stopping


def test_every_socket_is_told_to_come_back_each_at_its_own_time(web: Web, token: str, open_socket: Connect) -> None:
    with ThreadPoolExecutor(30) as many:  # all at once, as the first there are
        clients = list(many.map(lambda _: open_socket(web, token), range(30)))
    assert {client.answer()["type"] for client in clients} == {"connected"}
    stopped(web)
    closings = [client.closed() for client in clients]
    assert {closing.code for closing in closings} == {1012}
    waits = [json.loads(closing.reason) for closing in closings]
    assert all(set(wait) == {"retry_after_ms"} and 0 < wait["retry_after_ms"] <= 5_000 for wait in waits)
    assert len({wait["retry_after_ms"] for wait in waits}) > 15
    assert web.wait(GRACEFUL_S) == 0


def test_sockets_that_do_not_answer_and_readers_that_do_not_read_hold_up_nothing(
    web: Web, token: str, inside: Inside
) -> None:
    with ExitStack() as held:
        for _ in range(5):
            mute = held.enter_context(RawClient(web.port))
            assert mute.shake_hands(authorization=f"Bearer {token}").status == 101
        stuck = held.enter_context(RawClient(web.port, window_bytes=4_096))
        stuck.send(f"GET /events?room=lobby&token={token} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        stuck.lines(until=b"data: ")
        inside.publish("lobby", *["x" * 100_000] * 8)
        stopped(web)
        assert web.wait(GRACEFUL_S) == 0


def test_who_connects_while_it_stops_is_refused_at_once(web: Web, token: str) -> None:
    """It takes two seconds, for some who do not answer."""
    with ExitStack() as held:
        for _ in range(5):
            mute = held.enter_context(RawClient(web.port))
            assert mute.shake_hands(authorization=f"Bearer {token}").status == 101
        known = [held.enter_context(RawClient(web.port)) for _ in range(4)]  # an open connection each, to some process
        for client in known:
            nothing = dict.fromkeys(("upgrade", "connection", "sec_websocket_key", "sec_websocket_version"))
            assert client.shake_hands(first="GET /health HTTP/1.1", **nothing).status == 200
        stopped(web)
        mute.read()
        assert mute.read_close() == 1012
        outcomes = [outcome(client, token) for client in known]
        while web.is_alive:
            began = time.monotonic()
            try:
                with RawClient(web.port) as late:
                    outcomes.append(outcome(late, token))
            except OSError:
                outcomes.append("refused")
            assert time.monotonic() - began < 5
    assert set(outcomes) <= {"503", "refused"}
    assert "503" in outcomes
    assert web.wait() == 0


def outcome(client: RawClient, token: str) -> str:
    try:
        answer = client.shake_hands(authorization=f"Bearer {token}")
    except TimeoutError:
        return "hangs"
    except (OSError, IndexError):  # the connection ended
        return "refused"
    assert answer.status != 503 or int(answer.headers["retry-after"]) > 0
    return str(answer.status)


# -- beginning again


class EventListener(Listener):
    def __init__(self, web: Web, token: str, room: str):
        super().__init__()
        self.url, self.query = f"{web.url}/events", {"room": room, "token": token}
        self.last_id = "0"

    def run(self) -> None:
        while not self.is_done:
            headers = {"Last-Event-ID": self.last_id}
            with httpx2.stream(
                "GET", self.url, params=self.query, headers=headers, timeout=DEADLINE_S, trust_env=False
            ) as response:
                assert response.status_code == 200
                self._hear(response.iter_lines())
                self.sent_away.append("the end")
            self.is_over.wait(EVENT_SOURCE_WAITS_S)

    def _hear(self, lines: Iterator[str]) -> None:
        for line in lines:
            name, _, value = line.partition(": ")
            if name == "id":
                last_id = value
            elif name == "data":
                frame = json.loads(value)
                self.last_id = last_id
                self.heard += [frame["data"]] if frame.get("event") == "message" else []
            if self.is_done:
                return


@pytest.mark.parametrize("kind", [SocketListener, EventListener])
def test_a_reload_sends_everybody_to_the_new_processes_and_nobody_misses_anything(
    web: Web,
    token: str,
    inside: Inside,
    listening: Listening,
    kind: Callable[[Web, str, str], Listener],
) -> None:
    room = f"reload-{kind.__name__}"  # type: ignore[attr-defined]
    listeners = [kind(web, token, room) for _ in range(8)]
    with speaking(inside, room) as speaker:
        listening(listeners)
        web.signal(signal.SIGHUP)
        assert eventually(lambda: all(listener.sent_away for listener in listeners), DEADLINE_S)
        goes_on(speaker, listeners)
    for listener in listeners:
        listener.join(DEADLINE_S)
        assert listener.heard == speaker.said
        assert set(listener.sent_away) <= {1012, "the end"}
    stopped(web)
    assert web.wait(GRACEFUL_S) == 0
