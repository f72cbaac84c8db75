"""Who is let in, how far, and who is sent away for what it does."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from platform.accounts import Account
from tests import processes
from tests.integration.asking import submit
from tests.integration.conftest import Shop
from tests.integration.sockets.conftest import (
    Client,
    Connect,
    Inside,
    account_of,
    metric,
    patched,
    stored,
    token_of,
)
from tests.integration.sockets.rawclient import RawClient, text
from tests.processes import Web
from tests.waiting import eventually

AUTH_S = 1
PER_S = 20
MOST_BYTES = 4096
FRIEND = "https://app.example"
TASKS = {"model": "task"}


@pytest.fixture(scope="module", autouse=True)
def pipeline(shop: Shop) -> None:
    """A worker for documents; calls wait for one that is not there."""
    shop.start_worker("-Q", "pipeline.write,pipeline.route,fanout", concurrency=1)


@pytest.fixture(scope="module")
def shop_web(shop: Shop) -> Web:
    return shop.start_web(
        socket_auth_s=AUTH_S,
        socket_messages_per_s=PER_S,
        socket_message_bytes=MOST_BYTES,
        cors_origins=FRIEND,
        function_wait_s=30,
    )


@pytest.fixture(scope="module")
def ann(shop: Shop, shop_web: Web) -> httpx2.Client:
    return shop.caller(shop_web)


@pytest.fixture(scope="module")
def bob(shop: Shop, shop_web: Web) -> httpx2.Client:
    return shop.caller(shop_web)


@pytest.fixture
def cookie(ann: httpx2.Client, shop_web: Web) -> Iterator[str]:
    """What a browser in which ann has signed in sends with every request."""
    with httpx2.Client(base_url=shop_web.url, trust_env=False) as browser:
        credentials = {"email": account_of(ann)["email"], "password": "correct horse"}
        assert browser.post("/session", json=credentials).status_code == 201
        yield f"platform_session={browser.cookies['platform_session']}"


def signed(shop: Shop, caller: httpx2.Client, lasts_s: int) -> str:
    """A socket token as the platform signs it, of a life too short to be asked for."""
    user = account_of(caller)
    with shop.as_own_settings():
        from web.tokens import Purpose, sign, token_claims

        account = Account(user["id"], user["email"], "user", user["app_id"])
        claims = token_claims(account, latest_expiry=int(time.time()) + lasts_s)
        return sign(Purpose.TOKEN, claims)


def refusal(connect: Connect, web: Web, *args: Any, **options: Any) -> tuple[int, int, str]:
    """The status of a refused handshake, after how many seconds to try again, and its detail."""
    with pytest.raises(InvalidStatus) as refused:
        connect(web, *args, **options)
    response = refused.value.response
    assert response.headers["Content-Type"] == "application/problem+json"
    return response.status_code, int(response.headers["Retry-After"]), json.loads(response.body)["detail"]


def is_up(client: Client) -> bool:
    return client.ask(type="ping", ref="up") == {"type": "pong", "ref": "up"}


# -- saying who one is


@pytest.mark.parametrize("how", ["header", "query", "frame"])
@pytest.mark.parametrize("kind", ["key", "access token", "socket token"])
def test_any_credential_is_taken_in_any_of_three_ways(
    ann: httpx2.Client, shop_web: Web, open_socket: Connect, kind: str, how: str
) -> None:
    credential = {
        "key": lambda: ann.headers["Authorization"].removeprefix("Bearer "),
        "access token": lambda: ann.post("/session").json()["access_token"],
        "socket token": lambda: token_of(ann),
    }[kind]()
    client = open_socket(shop_web, credential, how)
    connected = client.next()
    assert (connected["type"], connected["session"]["user"]) == ("connected", account_of(ann))
    assert is_up(client)


@pytest.mark.parametrize("how", ["header", "query", "frame"])
@pytest.mark.parametrize("token", ["nonsense", "pk_aaaaaaaaaa_" + "b" * 43, "a.b.c"])
def test_a_credential_that_does_not_hold_is_closed_with_4401(
    shop_web: Web, open_socket: Connect, token: str, how: str
) -> None:
    assert open_socket(shop_web, token, how).closed().code == 4401


@pytest.mark.parametrize("how", ["header", "query", "frame"])
def test_a_token_that_is_over_is_closed_with_4401(
    shop: Shop, ann: httpx2.Client, shop_web: Web, open_socket: Connect, how: str
) -> None:
    closing = open_socket(shop_web, signed(shop, ann, lasts_s=-1), how).closed()
    assert closing.code == 4401
    assert "expired" in closing.reason


def test_a_token_that_is_over_later_is_closed_then(
    shop: Shop, ann: httpx2.Client, shop_web: Web, open_socket: Connect
) -> None:
    ends_at = int(time.time()) + 3
    client = open_socket(shop_web, signed(shop, ann, lasts_s=3))
    assert client.next()["type"] == "connected"
    assert client.closed().code == 4401
    assert ends_at <= time.time() < ends_at + 3


def test_who_does_not_say_who_it_is_is_closed_with_4408_in_time(
    ann: httpx2.Client, shop_web: Web, open_socket: Connect
) -> None:
    began = time.monotonic()
    silent, talks, in_time = (open_socket(shop_web) for _ in range(3))
    assert is_up(talks)
    assert talks.ask(type="subscribe", ref=1, channel=TASKS)["code"] == "unauthenticated"
    assert in_time.ask(type="auth", token=token_of(ann))["type"] == "connected"
    for client in (silent, talks):
        assert client.closed().code == 4408
    assert AUTH_S <= time.monotonic() - began < AUTH_S + 4
    assert is_up(in_time)


# -- browsers


@pytest.mark.parametrize("origin", ["own", FRIEND])
def test_a_signed_in_browser_connects_from_the_platforms_page_and_from_allowed_ones(
    ann: httpx2.Client, shop_web: Web, open_socket: Connect, cookie: str, origin: str
) -> None:
    origin = shop_web.url if origin == "own" else origin
    client = open_socket(shop_web, headers={"Cookie": cookie, "Origin": origin})
    assert client.next()["session"]["user"] == account_of(ann)


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://[", "", f"{FRIEND}.evil.example", "https://evil.example/127.0.0.1"],
)
@pytest.mark.parametrize("has_token", [False, True])
def test_a_page_of_another_origin_is_closed_with_4403_whatever_it_brings(
    ann: httpx2.Client, shop_web: Web, open_socket: Connect, cookie: str, origin: str, has_token: bool
) -> None:
    token = token_of(ann) if has_token else None
    client = open_socket(shop_web, token, "query", headers={"Cookie": cookie, "Origin": origin})
    assert client.closed().code == 4403


def test_a_cookie_without_an_origin_says_nothing(
    ann: httpx2.Client, shop_web: Web, open_socket: Connect, cookie: str
) -> None:
    client = open_socket(shop_web, headers={"Cookie": cookie})
    assert client.ask(type="subscribe", channel=TASKS)["code"] == "unauthenticated"
    assert client.closed().code == 4408


def test_a_bad_cookie_is_closed_with_4401(shop_web: Web, open_socket: Connect) -> None:
    headers = {"Cookie": "platform_session=nonsense", "Origin": shop_web.url}
    assert open_socket(shop_web, headers=headers).closed().code == 4401


# -- a newer token


def test_a_newer_token_keeps_the_socket_open(
    shop: Shop, ann: httpx2.Client, shop_web: Web, open_socket: Connect
) -> None:
    refreshed, left = (open_socket(shop_web, signed(shop, ann, lasts_s=3)) for _ in range(2))
    assert refreshed.answer()["type"] == "connected"
    made = ann.post("/session/tokens").json()
    answer = refreshed.ask(type="refresh", ref=1, token=made["token"])
    assert answer == {"type": "refreshed", "ref": 1, "expires_at": made["expires_at"]}
    assert left.closed().code == 4401
    assert is_up(refreshed)


def test_another_users_or_another_scopes_token_is_not_a_newer_one(
    shop: Shop, ann: httpx2.Client, bob: httpx2.Client, shop_web: Web, open_socket: Connect
) -> None:
    client = open_socket(shop_web, signed(shop, ann, lasts_s=3))
    client.answer()
    for token in (token_of(bob), token_of(ann, scope={"jobs": False})):
        answer = client.ask(type="refresh", ref=1, token=token)
        assert (answer["type"], answer["ref"], answer["code"]) == ("error", 1, "forbidden")
    assert is_up(client)
    assert client.closed().code == 4401


def test_a_newer_token_that_does_not_hold_closes_with_4401(join: Connect, ann: httpx2.Client) -> None:
    client = join(ann)
    client.say(type="refresh", token="nonsense")
    assert client.closed().code == 4401


# -- what a token allows


def test_a_token_for_some_models_allows_no_other(join: Connect, ann: httpx2.Client) -> None:
    client = join(ann, scope={"models": ["task"]})
    client.follow(channel=TASKS)
    assert client.ask(type="subscribe", channel={"model": "item"})["code"] == "forbidden"
    assert client.ask(type="subscribe", channel={"model": "item", "id": "x"})["code"] == "forbidden"
    assert join(ann, scope={"models": []}).ask(type="subscribe", channel=TASKS)["code"] == "forbidden"


def test_the_filter_of_a_token_holds_besides_the_clients(join: Connect, ann: httpx2.Client, bob: httpx2.Client) -> None:
    witness = join(bob)
    begun = witness.follow(channel=TASKS)
    scope = {"filters": {"task": {"assignee": "ann"}}}
    clients = {name: join(ann, scope=scope) for name in ("all", "own", "evasive", "late", "one")}
    clients["all"].follow(channel=TASKS)
    clients["own"].follow(channel=TASKS, filter={"n": 2})
    clients["evasive"].follow(channel=TASKS, filter={"$or": [{"assignee": "bob"}, {"assignee": "ann"}]})
    stored(ann, "task", title="1", assignee="ann", n=1)
    second = stored(ann, "task", title="2", assignee="ann", n=2)
    foreign = stored(ann, "task", title="3", assignee="bob", n=2)
    patched(ann, second, assignee="bob")
    witness.told(4)
    clients["late"].follow(channel=TASKS, since={"epoch": begun["epoch"], "offset": begun["offset"]})
    clients["one"].follow(channel={"model": "task", "id": foreign["id"]}, since=0)
    seen = {name: [(frame["version"], frame["id"]) for frame in client.rest()] for name, client in clients.items()}
    left = (2, second["id"])
    assert seen["own"] == [(1, second["id"]), left]
    assert len(seen["all"]) == 3
    assert seen["all"] == seen["evasive"] == seen["late"]
    assert seen["all"][1:] == seen["own"]
    assert seen["one"] == []


def test_a_token_for_some_rooms_allows_no_other(join: Connect, ann: httpx2.Client, inside: Inside) -> None:
    client = join(ann, scope={"rooms": ["lobby", "team-*"]})
    for room in ("lobby", "team-a", "team-"):
        client.follow(room=room)
        assert client.ask(type="publish", ref=1, room=room, data=room)["type"] == "published"
        assert client.told(1)[0]["data"] == room
    for room in ("lobby2", "team", "Lobby", "*"):
        assert client.ask(type="subscribe", room=room)["code"] == "forbidden"
        assert client.ask(type="publish", room=room, data=1)["code"] == "forbidden"


def test_a_token_that_may_not_publish_may_listen(join: Connect, ann: httpx2.Client, inside: Inside) -> None:
    client = join(ann, scope={"publish": False})
    client.follow(room="lobby")
    assert client.ask(type="publish", ref=1, room="lobby", data=1)["code"] == "forbidden"
    inside.publish("lobby", "heard")
    assert [frame["data"] for frame in client.told(1)] == ["heard"]


def test_a_token_for_some_functions_calls_no_other(join: Connect, ann: httpx2.Client) -> None:
    client = join(ann, scope={"calls": ["Calc/later"]})
    assert client.ask(type="call", module="Calc", function="later", args={"a": 1})["code"] == "call_pending"
    assert client.ask(type="call", module="Calc", function="multiply", args={"a": 1})["code"] == "forbidden"
    whole = join(ann, scope={"calls": ["Calc/*"]})
    assert whole.ask(type="call", module="Calc", function="later", args={"a": 1})["code"] == "call_pending"
    assert whole.ask(type="call", module="Calculator", function="later", args={"a": 1})["code"] == "forbidden"


def test_a_token_without_jobs_follows_none(join: Connect, ann: httpx2.Client) -> None:
    job_id = submit(ann, "add", 1, 2)["job_id"]
    client = join(ann, scope={"jobs": False})
    assert client.ask(type="subscribe", job=job_id)["code"] == "forbidden"
    join(ann).follow(job=job_id)


# -- how much


def test_calls_that_wait_for_an_answer_are_limited(join: Connect, ann: httpx2.Client) -> None:
    client = join(ann)
    for number in range(32):
        client.say(type="call", ref=number, module="Calc", function="multiply", args={"a": number})
    answer = client.ask(type="call", ref="one more", module="Calc", function="multiply", args={"a": 1})
    assert (answer["ref"], answer["code"]) == ("one more", "too_many")


def at_once(client: RawClient, count: int) -> tuple[list[int], list[str]]:
    """So many pings in one segment: those that were answered, and the codes of the errors."""
    client.send(b"".join(text({"type": "ping", "ref": number}) for number in range(count)))
    answers = [client.read().message for _ in range(count)]
    heard = [answer["ref"] for answer in answers if answer["type"] == "pong"]
    return heard, [answer["code"] for answer in answers if answer["type"] == "error"]


@pytest.fixture
def raw(ann: httpx2.Client, shop_web: Web) -> Iterator[RawClient]:
    with RawClient(shop_web.port) as client:
        client.shake_hands(authorization=f"Bearer {token_of(ann)}")
        assert client.read().message["type"] == "connected"
        yield client


def test_messages_over_the_pace_are_not_heard_and_the_client_is_told(raw: RawClient) -> None:
    burst, over = 4 * PER_S, 15
    heard, refused = at_once(raw, burst + over)
    assert heard[:burst] == list(range(burst))
    assert set(refused) == {"too_many"}
    assert len(heard) + len(refused) == burst + over
    assert eventually(lambda: raw.ask({"type": "ping"}) == {"type": "pong"})


def test_who_kept_to_its_pace_for_a_while_is_forgiven_what_it_did_before(
    raw: RawClient, shop: Shop, ann: httpx2.Client, shop_web: Web, open_socket: Connect
) -> None:
    def say_too_much() -> int:
        """More than 20 too many are the end."""
        return len(at_once(raw, 4 * PER_S + 15)[1])

    assert 10 < say_too_much() <= 15
    # Five seconds, while four seconds' worth of messages is saved up again.
    assert open_socket(shop_web, signed(shop, ann, lasts_s=6)).closed().code == 4401
    assert 10 < say_too_much() <= 15
    assert eventually(lambda: raw.ask({"type": "ping"}) == {"type": "pong"})


def test_who_goes_on_sending_too_much_is_closed_with_4429(join: Connect, ann: httpx2.Client) -> None:
    client = join(ann)
    with suppress(ConnectionClosed):  # it may come to that before all is said
        for number in range(200):
            client.say(type="ping", ref=number)
    assert client.closed().code == 4429
    answers = [client.next() for _ in range(client.read_ahead)]
    heard = [answer["ref"] for answer in answers if answer["type"] == "pong"]
    assert heard == list(range(len(heard)))
    assert [answer["code"] for answer in answers if answer["type"] == "error"] == ["too_many"] * 20


def test_a_burst_is_forgiven(join: Connect, ann: httpx2.Client) -> None:
    client = join(ann)
    for number in range(3 * PER_S):
        client.say(type="ping", ref=number)
    assert [client.answer()["ref"] for _ in range(3 * PER_S)] == list(range(3 * PER_S))


def test_a_message_that_is_too_large_is_closed_with_4413(join: Connect, ann: httpx2.Client) -> None:
    client = join(ann)
    empty = len(json.dumps({"type": "ping", "ref": ""}))
    ref = "x" * (MOST_BYTES - empty)
    assert client.ask(type="ping", ref=ref)["ref"] == ref
    client.say(type="ping", ref=ref + "x")
    assert client.closed().code == 4413


def test_a_process_that_is_full_says_so_and_lets_in_the_next_when_one_has_gone(
    shop: Shop, ann: httpx2.Client, open_socket: Connect
) -> None:
    web = shop.start_web(socket_connections=2)
    token = token_of(ann)
    first, second = (open_socket(web, token) for _ in range(2))
    assert [client.answer()["type"] for client in (first, second)] == ["connected"] * 2
    status, wait_s, detail = refusal(open_socket, web, token)
    assert (status, "as many sockets as it may" in detail) == (503, True)
    assert 1 <= wait_s <= 60
    assert web.http.get("/events", params={"room": "lobby", "token": token}).status_code == 503
    assert web.http.get("/health").status_code == 200
    assert eventually(lambda: metric(web, "platform_sockets") == 2)
    assert metric(web, "platform_sockets_refused_total") == 2
    first.ws.close()
    third = eventually(lambda: let_in(open_socket, web, token))
    assert third.answer()["type"] == "connected"
    second.ws.close()
    events = {"room": "lobby", "token": token}
    eventually(lambda: metric(web, "platform_sockets") == 1)
    with web.http.stream("GET", "/events", params=events) as reader:
        assert reader.status_code == 200
        assert refusal(open_socket, web, token)[0] == 503


def let_in(connect: Connect, web: Web, token: str) -> Client | None:
    try:
        return connect(web, token)
    except InvalidStatus:
        return None


def test_readers_of_events_leave_room_for_requests_and_sockets(
    shop: Shop, ann: httpx2.Client, open_socket: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    most, token = 2, token_of(ann)
    monkeypatch.setenv("GUNICORN_CMD_ARGS", f"--worker-connections={most + 1}")
    web = shop.start_web(event_readers=most)
    events = f"{web.url}/events?room=lobby&token={token}"
    with ExitStack() as held:
        for _ in range(most):
            reader = held.enter_context(httpx2.stream("GET", events, timeout=20, trust_env=False))
            assert reader.status_code == 200
        with web.http.stream("GET", events) as refused:
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
            refused.read()
        assert "as many readers of events" in refused.json()["detail"]
        assert web.http.get("/health").status_code == 200
        web.http.close()
        assert open_socket(web, token).next()["type"] == "connected"


def test_gunicorn_serves_more_connections_than_there_may_be_readers(shop: Shop) -> None:
    env = shop.env | {"PLATFORM_EVENT_READERS": "50"}
    command = [sys.executable, "-m", "gunicorn", "-c", "web/gunicorn.conf.py", "--print-config", "web.wsgi:app"]
    assert re.search(r"^worker_connections +=? *2050$", processes.succeed(*command, env=env), re.MULTILINE)


def test_who_connects_while_too_many_do_is_told_when_to_come_again(
    shop: Shop, ann: httpx2.Client, open_socket: Connect
) -> None:
    web = shop.start_web(socket_connects_per_s=0.5)
    token = token_of(ann)
    open_socket(web, token)
    status, wait_s, detail = refusal(open_socket, web, token)
    assert (status, "too many sockets connect" in detail) == (503, True)
    assert 2 <= wait_s <= 8
    assert web.http.get("/health").status_code == 200
    assert eventually(lambda: let_in(open_socket, web, token))


# -- roles


def test_a_process_for_http_has_no_sockets(shop: Shop, ann: httpx2.Client, open_socket: Connect) -> None:
    web = shop.start_web(web_role="http")
    with pytest.raises(InvalidStatus) as refused:
        open_socket(web, token_of(ann))
    assert refused.value.response.status_code == 404
    assert web.http.get("/events", params={"model": "task"}).status_code == 404
    assert web.http.get("/jobs", headers=ann.headers).status_code == 200


def test_a_process_for_sockets_has_no_jobs(shop: Shop, ann: httpx2.Client, join: Connect) -> None:
    web = shop.start_web(web_role="sockets")
    client = join(ann, web=web)
    client.follow(channel=TASKS)
    document = stored(ann, "task", title="through the other process")
    assert client.told(1)[0]["id"] == document["id"]
    assert web.http.get("/jobs", headers=ann.headers).status_code == 404
    assert web.http.get("/model/task", headers=ann.headers).status_code == 404
    assert web.http.get("/metrics").status_code == 200
