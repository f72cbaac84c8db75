"""Both sockets against a scripted server on loopback."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from tests.unit.web.client.conftest import Answer, Server, problem
from tests.unit.web.client.sockets.conftest import (
    CONNECTED,
    TASKS,
    WAIT_S,
    Platform,
    User,
    Wire,
    created,
    follow,
    message,
    ping,
    subscribed,
)
from tests.waiting import eventually
from web.client import (
    APIError,
    AuthenticationError,
    CallFailed,
    CallPending,
    FunctionResult,
    Gap,
    ModelCreated,
    Position,
    Refused,
    ServerUnreachable,
    SocketClosed,
    SocketTimeout,
    Unsubscribed,
)

LOBBY = "app:myapp:room:lobby"
SOON = json.dumps({"retry_after_ms": 10})


def reconnected(platform: Platform, offsets: dict[int, int] | None = None) -> tuple[Wire, Any]:
    """The next connection, whose ``resume`` is answered; and that frame."""
    wire = platform.accept()
    resume = wire.hear()
    assert resume["type"] == "resume"
    for one in resume["subscriptions"]:
        channel = LOBBY if "room" in one else TASKS
        wire.say(subscribed(one["ref"], channel, offset=one["since"]["offset"]))
    wire.say({"type": "resumed", "ref": resume["ref"], "count": len(resume["subscriptions"])})
    return wire, resume


# -- connecting


def test_it_connects_with_a_short_lived_token_in_a_header(user: User, wire: Wire, server: Server) -> None:
    assert server.received[0].target == "/session/tokens"
    assert server.received[0].headers["Authorization"] == "Bearer pk_test"
    assert wire.headers["Authorization"] == "Bearer t-secret"
    assert (user.socket.is_connected, user.socket.device_id) == (True, "d-1")


def test_a_device_keeps_its_name(user: User, platform: Platform, server: Server) -> None:
    opening = user.connects_with(base_url=platform.url, device_id="tablet-7")
    platform.accept()
    opening.result(WAIT_S)
    assert server.received[0].body == {"device_id": "tablet-7"}


@pytest.mark.parametrize("token", ["t-own", lambda: "t-own"], ids=["text", "function"])
def test_a_token_of_the_users_own_is_sent(user: User, platform: Platform, server: Server, token: Any) -> None:
    opening = user.connects_with(base_url=platform.url, token=token)
    assert platform.accept().headers["Authorization"] == "Bearer t-own"
    opening.result(WAIT_S)
    assert server.received == []


def test_a_credential_without_a_token_is_an_authentication_error(
    user: User, platform: Platform, server: Server
) -> None:
    server.answers(problem(401, "the key was revoked"))
    with pytest.raises(AuthenticationError, match="the key was revoked"):
        user.connects_with(base_url=platform.url).result(WAIT_S)
    assert platform.attempts == 0


def test_a_server_that_is_not_there_is_unreachable_in_time(user: User) -> None:
    with pytest.raises(ServerUnreachable, match=r"ws://127\.0\.0\.1:1/ws got no answer"):
        user.connects_with(base_url="http://127.0.0.1:1", timeout_s=0.5).result(WAIT_S)


def test_something_else_at_the_address_is_told_at_once(user: User, server: Server) -> None:
    server.answers(Answer(404, {}))
    with pytest.raises(APIError, match="was answered 404"):
        user.connects_with(base_url=f"{server.url}/elsewhere", token="t").result(WAIT_S)


def test_a_full_server_is_asked_again(user: User, platform: Platform) -> None:
    platform.refuse(503, Retry_After="0")
    opening = user.connects_with(base_url=platform.url)
    platform.accept()
    opening.result(WAIT_S)
    assert platform.attempts == 2


@pytest.mark.parametrize("code", [4403, 4413])
def test_a_refusal_for_good_ends_it(user: User, platform: Platform, code: int) -> None:
    opening = user.connects_with(base_url=platform.url)
    platform.accept(greets=False).close(code, "not from there")
    with pytest.raises(SocketClosed, match="not from there") as caught:
        opening.result(WAIT_S)
    assert caught.value.code == code
    assert platform.attempts == 1


def test_a_token_that_does_not_hold_is_replaced_once(user: User, platform: Platform, server: Server) -> None:
    opening = user.connects_with(base_url=platform.url)
    for _ in range(2):
        platform.accept(greets=False).close(4401, "the token is over")
    with pytest.raises(SocketClosed, match="the token is over"):
        opening.result(WAIT_S)
    assert len(server.received) == 2


def test_a_token_that_stays_is_not_tried_again(user: User, platform: Platform) -> None:
    opening = user.connects_with(base_url=platform.url, token="t-old")
    platform.accept(greets=False).close(4401)
    with pytest.raises(SocketClosed):
        opening.result(WAIT_S)
    assert platform.attempts == 1


def test_a_token_is_replaced_before_it_ends(user: User, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.client.sockets.renewal.LEAST_S", 0.1)
    opening = user.connects_with(base_url=platform.url)
    wire = platform.accept(greets=False)
    wire.say({**CONNECTED, "session": {"expires_at": "2020-01-01T00:00:00Z"}})
    opening.result(WAIT_S)
    refresh = wire.hear()
    assert (refresh["type"], refresh["token"]) == ("refresh", "t-secret")
    wire.say({"type": "refreshed", "ref": refresh["ref"], "expires_at": "2099-01-01T00:00:00Z"})
    assert wire.hears_nothing()


# -- following


def test_a_subscription_gives_what_happens(user: User, wire: Wire) -> None:
    asked = user.begin(lambda socket: socket.subscribe(model="task", filter={"status": "open"}, since=0))
    assert wire.hear() == {
        "type": "subscribe",
        "ref": 1,
        "channel": {"model": "task"},
        "filter": {"status": "open"},
        "since": 0,
    }
    wire.say(subscribed(1), created(11))
    tasks = asked.result(WAIT_S)
    assert (tasks.channel, tasks.position) == (TASKS, Position("e1", 10))
    event = user.next()
    assert (event.event, event.channel, event.document["title"]) == ("model_created", TASKS, "bread")
    assert tasks.position == Position("e1", 11)


def test_each_subscription_has_its_own_events_and_the_socket_has_all(user: User, wire: Wire) -> None:
    tasks = follow(user, wire)
    lobby = follow(user, wire, LOBBY, room="lobby")
    wire.say(created(11, "a"), message(11, "hi"), created(12, "b"))
    assert user.do(lambda _: lobby.next(WAIT_S)).data == "hi"
    assert user.next().id == "a"
    assert user.do(lambda _: tasks.next(WAIT_S)).id == "b"


def test_what_was_asked_in_vain_is_refused_with_its_code(user: User, wire: Wire) -> None:
    asked = user.begin(lambda socket: socket.subscribe(model="task", filter={"$no": 1}))
    wire.say({"type": "error", "ref": wire.hear()["ref"], "code": "bad_filter", "message": "there is no $no"})
    with pytest.raises(Refused, match="there is no") as caught:
        asked.result(WAIT_S)
    assert caught.value.code == "bad_filter"


def test_no_event_in_time_is_a_timeout(user: User, wire: Wire) -> None:
    with pytest.raises(SocketTimeout, match=r"within 0\.05 s"):
        user.next(0.05)


def test_no_answer_in_time_is_a_timeout_and_leaves_no_subscription(user: User, platform: Platform) -> None:
    opening = user.connects_with(base_url=platform.url, timeout_s=0.3)
    wire = platform.accept()
    opening.result(WAIT_S)
    asked = user.begin(lambda socket: socket.subscribe(model="task"))
    assert wire.hear()["type"] == "subscribe"
    with pytest.raises(SocketTimeout):
        asked.result(WAIT_S)
    pinged = user.begin(lambda socket: socket.ping())
    assert [wire.hear()["type"] for _ in range(2)] == ["unsubscribe", "ping"]
    wire.say({"type": "pong", "ref": 3})
    with pytest.raises(SocketTimeout):
        pinged.result(WAIT_S)


def test_after_unsubscribing_nothing_comes(user: User, wire: Wire) -> None:
    tasks = follow(user, wire)
    wire.say(created(11))
    ending = user.begin(lambda _: tasks.unsubscribe())
    assert wire.hear() == {"type": "unsubscribe", "ref": 1}
    wire.say(created(12), {"type": "unsubscribed", "ref": 1, "channel": TASKS})
    ending.result(WAIT_S)
    assert user.all(tasks) == []
    with pytest.raises(Unsubscribed):
        user.do(lambda _: tasks.next(1))


def test_what_is_sent_to_the_device_needs_no_subscription(user: User, wire: Wire) -> None:
    wire.say({"event": "message", "room": "", "data": "for you", "channel": "app:myapp:device:d-1"})
    assert user.next().data == "for you"


# -- asking


def test_publishing_returns_the_place(user: User, wire: Wire) -> None:
    said = user.begin(lambda socket: socket.publish("lobby", {"text": "hi"}))
    assert wire.hear() == {"type": "publish", "ref": 1, "room": "lobby", "data": {"text": "hi"}}
    wire.say({"type": "published", "ref": 1, "channel": LOBBY, "epoch": "e1", "offset": 7})
    assert said.result(WAIT_S) == Position("e1", 7)


def test_a_call_returns_its_result_and_job(user: User, wire: Wire) -> None:
    called = user.begin(lambda socket: socket.call("Chat", "say", text="hi", module="m"))
    asked = {"module": "Chat", "function": "say", "args": {"text": "hi", "module": "m"}}
    assert wire.hear() == {"type": "call", "ref": 1, **asked}
    wire.say({"type": "reply", "ref": 1, "result": {"n": 1}, "job_id": "j-1"})
    assert called.result(WAIT_S) == FunctionResult({"n": 1}, "j-1")


@pytest.mark.parametrize(
    ("code", "kind"), [("call_failed", CallFailed), ("call_pending", CallPending), ("unavailable", CallPending)]
)
def test_a_call_that_does_not_return_names_its_job(user: User, wire: Wire, code: str, kind: type[CallFailed]) -> None:
    called = user.begin(lambda socket: socket.call("Chat", "say"))
    wire.say({"type": "error", "ref": wire.hear()["ref"], "code": code, "message": "no", "job_id": "j-1"})
    with pytest.raises(CallFailed) as caught:
        called.result(WAIT_S)
    assert (type(caught.value), caught.value.job_id) == (kind, "j-1")


def test_a_ping_measures(user: User, wire: Wire) -> None:
    assert 0 < ping(user, wire) < WAIT_S


def test_what_is_no_json_is_refused_before_it_is_sent(user: User, wire: Wire) -> None:
    with pytest.raises(TypeError):
        user.do(lambda socket: socket.publish("lobby", object()))
    assert wire.hears_nothing()


# -- being away


@pytest.mark.parametrize("how", ["restart", "cut"])
def test_a_lost_connection_is_replaced_and_nothing_comes_twice(
    user: User, wire: Wire, platform: Platform, how: str
) -> None:
    follow(user, wire)
    follow(user, wire, LOBBY, offset=5, room="lobby")
    wire.say(created(11, "a"))
    assert user.next().id == "a"
    wire.close(1012, SOON) if how == "restart" else wire.drop()
    wire, resume = reconnected(platform)
    assert resume["subscriptions"] == [
        {"ref": 1, "channel": {"model": "task"}, "since": {"epoch": "e1", "offset": 11}},
        {"ref": 2, "room": "lobby", "since": {"epoch": "e1", "offset": 5}},
    ]
    wire.say(created(11, "a"), created(12, "b"), created(13, "c"), message(6, "hi"))
    assert [user.next().offset for _ in range(3)] == [12, 13, 6]
    assert eventually(lambda: user.socket.is_connected)


def test_what_is_gone_is_told_before_what_is_left(user: User, wire: Wire, platform: Platform) -> None:
    follow(user, wire)
    wire.close(1012, SOON)
    wire = platform.accept()
    wire.say(subscribed(wire.hear()["subscriptions"][0]["ref"], epoch="e2", offset=3, recovered=False), created(4))
    assert [type(user.next()) for _ in range(2)] == [Gap, ModelCreated]


def test_a_call_that_was_on_its_way_fails_honestly(user: User, wire: Wire, platform: Platform) -> None:
    called = user.begin(lambda socket: socket.call("Chat", "say"))
    wire.hear()
    wire.drop()
    with pytest.raises(ServerUnreachable, match="whether it was carried out is not known"):
        called.result(WAIT_S)
    platform.accept()


def test_what_is_asked_meanwhile_waits_for_the_next_connection(user: User, wire: Wire, platform: Platform) -> None:
    wire.close(1012, json.dumps({"retry_after_ms": 500}))
    eventually(lambda: not user.socket.is_connected)
    asked = user.begin(lambda socket: socket.subscribe(model="task"))
    said = user.begin(lambda socket: socket.publish("lobby", 1))
    wire = platform.accept()
    frames = sorted((wire.hear() for _ in range(2)), key=lambda frame: frame["type"])
    assert [frame["type"] for frame in frames] == ["publish", "resume"]
    wire.say(subscribed(frames[1]["subscriptions"][0]["ref"]))
    wire.say({"type": "published", "ref": frames[0]["ref"], "channel": LOBBY, "epoch": "e1", "offset": 1})
    assert asked.result(WAIT_S).channel == TASKS
    assert said.result(WAIT_S).offset == 1


def test_a_subscription_that_was_on_its_way_is_asked_for_again(user: User, wire: Wire, platform: Platform) -> None:
    asked = user.begin(lambda socket: socket.subscribe(model="task", since=Position("e1", 3)))
    wire.hear()
    wire.close(1012, SOON)
    reconnected(platform)
    assert asked.result(WAIT_S).position == Position("e1", 3)


def test_each_connection_gets_a_fresh_token(user: User, wire: Wire, platform: Platform, server: Server) -> None:
    server.answers(Answer(201, {"token": "t-newer", "expires_at": "2026-11-22T22:00:00Z"}))
    wire.close(4401, "the token is over")
    assert platform.accept().headers["Authorization"] == "Bearer t-newer"


def test_an_account_that_was_disabled_ends_it(user: User, wire: Wire, server: Server) -> None:
    server.answers(problem(401, "the account is disabled"))
    wire.close(4401, "the credential was revoked")
    with pytest.raises(AuthenticationError, match="disabled"):
        user.next()


def test_a_function_that_has_no_token_any_more_ends_it(user: User, platform: Platform) -> None:
    tokens = ["t-1"]
    opening = user.connects_with(base_url=platform.url, token=tokens.pop)
    wire = platform.accept()
    opening.result(WAIT_S)
    wire.drop()
    with pytest.raises(IndexError):
        user.next()


# -- a user who takes nothing


def test_while_too_much_waits_no_more_is_read(user: User, platform: Platform) -> None:
    """The server's end feels it: it can send no more. Nothing is lost."""
    opening = user.connects_with(base_url=platform.url, max_waiting=3)
    wire = platform.accept()
    opening.result(WAIT_S)
    follow(user, wire)
    sending = Flood(wire)
    assert sending.stalls()
    assert [user.next().offset for _ in range(MANY)] == list(range(11, 11 + MANY))
    assert not sending.stalls()


MANY = 1_000


class Flood:
    """Far more events than sockets' buffers hold, sent by a thread as fast as they are taken."""

    def __init__(self, wire: Wire):
        self.sent = 0
        self._wire = wire
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def _send(self) -> None:
        for offset in range(11, 11 + MANY):
            self._wire.say(created(offset, "x" * 50_000))
            self.sent += 1

    def stalls(self) -> bool:
        """Whether it comes to a halt before its end."""
        while (before := self.sent) < MANY:
            self._thread.join(0.5)
            if self.sent == before:
                return True
        return False


def test_an_answer_is_read_though_too_much_waits(user: User, platform: Platform) -> None:
    opening = user.connects_with(base_url=platform.url, max_waiting=1)
    wire = platform.accept()
    opening.result(WAIT_S)
    follow(user, wire)
    wire.say(created(11), created(12), created(13))
    ping(user, wire)
    assert [user.next().offset for _ in range(3)] == [11, 12, 13]


# -- the end


def test_closing_says_so_and_what_waits_can_still_be_taken(user: User, wire: Wire) -> None:
    follow(user, wire)
    wire.say(created(11))
    ping(user, wire)
    closing = user.begin(lambda socket: socket.aclose() if user.is_async else socket.close())
    assert wire.wait_closed() == 1000
    closing.result(WAIT_S)
    assert [event.offset for event in user.all(user.socket)] == [11]
    with pytest.raises(SocketClosed, match="this side closed it"):
        user.next()


def test_closing_wakes_who_waits(user: User, wire: Wire) -> None:
    waiting = user.begin(lambda socket: socket.next())
    asked = user.begin(lambda socket: socket.subscribe(model="task"))
    wire.hear()
    wire.is_over.set()
    user.close()
    for one in (waiting, asked):
        with pytest.raises(SocketClosed):
            one.result(WAIT_S)


def test_closing_does_not_wait_for_the_next_attempt(user: User, wire: Wire) -> None:
    wire.close(1012, json.dumps({"retry_after_ms": 60_000}))
    eventually(lambda: not user.socket.is_connected)
    user.close()


def test_nothing_can_be_asked_of_a_closed_socket(user: User, wire: Wire) -> None:
    wire.is_over.set()
    user.close()
    with pytest.raises(SocketClosed):
        user.do(lambda socket: socket.subscribe(model="task"))
    with pytest.raises(SocketClosed):
        user.do(lambda socket: socket.publish("lobby", 1))


def test_a_server_that_speaks_something_else_ends_it(user: User, wire: Wire) -> None:
    wire.say("[1, 2]")
    with pytest.raises(SocketClosed) as caught:
        user.next()
    assert caught.value.code == 1007
