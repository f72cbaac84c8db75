"""Server-sent events, read line by line as curl and EventSource do."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from platform.accounts import Account
from tests.integration.asking import ended, submit
from tests.integration.conftest import Shop
from tests.integration.sockets.conftest import (
    Connect,
    Inside,
    account_of,
    on_its_way,
    patched,
    stored,
    token_of,
)
from tests.integration.sockets.rawclient import RawClient
from tests.processes import Web
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("shop_worker")


@dataclass(frozen=True)
class Told:
    """One event of a stream."""

    id: str
    event: str
    data: Any


class Reader:
    """A response that is read as it comes; ``ids`` are those of the events read so far."""

    def __init__(self, response: httpx2.Response):
        self.response = response
        self._lines = response.iter_lines()

    def next(self) -> Told | None:
        """The next event; None at the end of the response."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if line == "" and "data" in fields:
                return Told(fields["id"], fields["event"], json.loads(fields["data"]))
            if line and not line.startswith((":", "retry:")):
                name, _, value = line.partition(": ")
                assert name in ("id", "event", "data"), line
                assert name not in fields, line
                fields[name] = value
        return None

    def told(self, count: int) -> list[Told]:
        found = [self.next() for _ in range(count)]
        assert all(found), found
        return [one for one in found if one]


Read = Callable[..., Reader]


@pytest.fixture(scope="module")
def ann(shop: Shop, shop_web: Web) -> httpx2.Client:
    return shop.caller(shop_web)


@pytest.fixture(scope="module")
def bob(shop: Shop, shop_web: Web) -> httpx2.Client:
    return shop.caller(shop_web)


@pytest.fixture
def room() -> str:
    return f"room-{secrets.token_hex(4)}"


@pytest.fixture
def read(ann: httpx2.Client) -> Iterator[Read]:
    """``read(last_id="…", room="lobby", since=0)``: a response that has begun."""
    with ExitStack() as held:

        def begin(caller: httpx2.Client = ann, last_id: str | None = None, **query: Any) -> Reader:
            headers = {} if last_id is None else {"Last-Event-ID": last_id}
            response = held.enter_context(caller.stream("GET", "/events", params=query, headers=headers))
            if response.status_code != 200:
                response.read()
            assert response.status_code == 200, response.text
            return Reader(response)

        yield begin


def refused(caller: httpx2.Client, **query: Any) -> tuple[int, list[str]]:
    """The status of a refusal, and which parts of the query it names."""
    with caller.stream("GET", "/events", params=query) as answer:
        assert answer.status_code != 200
        answer.read()
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    return answer.status_code, [error["loc"][-1] for error in problem["errors"]]


# -- what comes


def test_a_response_is_a_stream_of_events_that_nothing_keeps_back(ann: httpx2.Client, shop_web: Web, room: str) -> None:
    with RawClient(shop_web.port) as client:
        path = f"/events?room={room}&token={token_of(ann)}"
        client.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        lines = [line.decode().rstrip("\r\n") for line in client.lines(until=b"data: ")]
    assert lines[0] == "HTTP/1.1 200 OK"
    head = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1 : lines.index("")])}
    assert head["content-type"] == "text/event-stream"
    assert head["cache-control"] == "no-store"
    assert head["x-accel-buffering"] == "no"
    assert [line.partition(": ")[0] for line in lines if ": " in line][-4:] == ["retry", "id", "event", "data"]


def test_each_event_has_an_id_a_name_and_the_frame_a_socket_gets(read: Read, ann: httpx2.Client, join: Connect) -> None:
    socket = join(ann)
    socket.follow(channel={"model": "task"})
    reader = read(model="task")
    [begun] = reader.told(1)
    document = stored(ann, "task", title="bread")
    patched(ann, document, n=1)
    created, updated = reader.told(2)
    assert (begun.event, begun.data["channel"]) == ("subscribed", "app:default:model:task")
    assert begun.id == f"{begun.data['epoch']}.{begun.data['offset']}"
    assert [created.data, updated.data] == socket.told(2)
    assert [created.event, updated.event] == ["model_created", "model_updated"]
    assert created.id == f"{begun.data['epoch']}.{created.data['offset']}"


def test_documents_are_chosen_as_on_a_socket(read: Read, ann: httpx2.Client, bob: httpx2.Client) -> None:
    user = account_of(bob)["id"]
    his = read(model="task", userId=user, filter=json.dumps({"n": {"$gte": 5}}))
    all_ = read(model="task")
    for reader in (his, all_):
        reader.told(1)
    stored(ann, "task", title="ann's", n=9)
    document = stored(bob, "task", title="bob's", n=1)
    patched(bob, document, n=5)
    patched(bob, document, n=2)
    entered, left = his.told(2)
    assert (entered.event, entered.data["entered"]) == ("model_created", True)
    assert (left.event, left.data["left"]) == ("model_deleted", True)
    one = read(model="task", id=document["id"], since=0)
    assert [told.event for told in one.told(4)] == ["subscribed", "model_created", "model_updated", "model_updated"]


@pytest.mark.parametrize("filter", [{"n": {"$in": [5, 6]}}, {"n": {"$nin": [1]}}, {"tags": ["a"]}], ids=str)
def test_filters_with_lists_choose_as_well(read: Read, ann: httpx2.Client, filter: dict[str, Any]) -> None:
    reader = read(model="task", filter=json.dumps(filter))
    reader.told(1)
    stored(ann, "task", title="not this", n=1, tags=["b"])
    document = stored(ann, "task", title="this", n=5, tags=["a"])
    assert [told.data["id"] for told in reader.told(1)] == [document["id"]]


def test_since_0_tells_all_that_is_kept(read: Read, inside: Inside, room: str) -> None:
    inside.publish(room, *range(5))
    begun, *rest = read(room=room, since=0).told(6)
    assert begun.data["recovered"]
    assert [told.data["data"] for told in rest] == list(range(5))


def test_a_job_is_told_as_it_is_and_until_it_has_ended(read: Read, ann: httpx2.Client) -> None:
    job_id = submit(ann, "slow", 0.6, 6)["job_id"]
    reader = read(job=job_id)
    reader.told(1)
    told = reader.told(1)
    while told[-1].data["data"]["state"] != "completed":
        told += reader.told(1)
    offsets = [int(one.id.rpartition(".")[2]) for one in told]
    assert {one.event for one in told} == {"job"}
    assert offsets == sorted(set(offsets))
    assert told[-1].data["data"] == ended(ann, job_id)
    again = read(job=job_id, last_id=told[-2].id)
    assert [one.id for one in again.told(2)][1] == told[-1].id


def test_a_message_with_line_breaks_in_its_json_is_one_line(
    read: Read, join: Connect, ann: httpx2.Client, room: str
) -> None:
    reader, speaker = read(room=room), join(ann)
    reader.told(1)
    speaker.ws.send('{"type": "publish", "room": "' + room + '", "data": {"a":\n1,\r\n"b": "x\\ny"}}')
    assert reader.told(1)[0].data["data"] == {"a": 1, "b": "x\ny"}


# -- coming back


def test_last_event_id_resumes_each_of_two_channels_where_it_was(
    read: Read, ann: httpx2.Client, inside: Inside, room: str
) -> None:
    """Whatever event was the last, also of those at the beginning."""
    inside.publish(room, "before")
    job_id = submit(ann, "add", 1, 2)["job_id"]
    ended(ann, job_id)
    whole = read(room=room, job=job_id, since=0)
    first = whole.told(4)
    inside.publish(room, "live 1", "live 2")
    events = first + whole.told(2)
    contents = [content(told) for told in events if told.event != "subscribed"]
    assert sorted(contents) == ["before", "job", "live 1", "live 2"]
    for seen in range(1, 7):
        known = [content(told) for told in events[:seen] if told.event != "subscribed"]
        back = read(room=room, job=job_id, last_id=events[seen - 1].id)
        missing = 4 - len(known)
        told = back.told(2 + missing)
        assert sorted(known + [content(one) for one in told if one.event != "subscribed"]) == sorted(contents)
        assert [one.data["recovered"] for one in told if one.event == "subscribed"] == [True, True]
        inside.publish(f"{room}-mark", 0)
    inside.publish(room, "live 3")
    assert whole.told(1)[0].data["data"] == "live 3"


def content(told: Told) -> str:
    return "job" if told.event == "job" else str(told.data["data"])


def test_a_reader_that_comes_back_again_and_again_loses_nothing_and_hears_nothing_twice(
    read: Read, ann: httpx2.Client, inside: Inside, room: str
) -> None:
    heard: list[int] = []
    last_id = read(room=room, model="task").told(2)[-1].id
    documents = []
    for number in range(10):
        inside.publish(room, 3 * number, 3 * number + 1)
        documents.append(stored(ann, "task", title=str(number))["id"])
        reader = read(room=room, model="task", last_id=last_id)
        inside.publish(room, 3 * number + 2)
        wanted = {"room": 3 * (number + 1) - len(heard), "documents": 1}
        while sum(wanted.values()):
            [told] = reader.told(1)
            last_id = told.id
            if told.event == "message":
                heard.append(told.data["data"])
                wanted["room"] -= 1
            elif told.event == "model_created":
                assert told.data["id"] == documents[number]
                wanted["documents"] -= 1
    assert heard == list(range(30))


def test_the_query_says_where_to_begin_as_last_event_id_does_which_counts_more(
    read: Read, inside: Inside, room: str
) -> None:
    places = inside.publish(room, *range(4))
    ids = [f"{place.epoch}.{place.offset}" for place in places]
    assert [told.data["data"] for told in read(room=room, since=ids[1]).told(3)[1:]] == [2, 3]
    assert [told.data["data"] for told in read(room=room, since=ids[0], last_id=ids[2]).told(2)[1:]] == [3]
    as_json = json.dumps({"epoch": places[0].epoch, "offset": places[0].offset})
    assert [told.data["data"] for told in read(room=room, since=as_json).told(4)[1:]] == [1, 2, 3]


def test_a_place_that_is_forgotten_is_said_to_be(read: Read, inside: Inside, room: str) -> None:
    [place] = inside.publish(room, "old")
    begun = read(room=room, last_id=f"another.{place.offset}").told(1)[0]
    assert not begun.data["recovered"]


# -- who may


def test_without_a_credential_nothing_is_told(shop_web: Web, room: str) -> None:
    answer = shop_web.http.get("/events", params={"room": room})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert shop_web.http.get("/events", params={"room": room, "token": "nonsense"}).status_code == 401


def test_a_token_in_the_query_serves_where_no_header_can_be_sent(
    ann: httpx2.Client, shop_web: Web, read: Read, inside: Inside, room: str
) -> None:
    reader = read(shop_web.http, room=room, token=token_of(ann))
    reader.told(1)
    inside.publish(room, "hi")
    assert reader.told(1)[0].data["data"] == "hi"


def test_the_tokens_scope_holds(ann: httpx2.Client, shop_web: Web, room: str) -> None:
    token = token_of(ann, scope={"models": [], "rooms": ["lobby"], "jobs": False})
    for query in ({"model": "task"}, {"room": room}, {"job": "x"}):
        assert refused(shop_web.http, token=token, **query) == (403, [])


def test_a_reader_is_ended_when_its_token_is_over(
    shop: Shop, ann: httpx2.Client, shop_web: Web, read: Read, room: str
) -> None:
    user, ends_at = account_of(ann), int(time.time()) + 3
    with shop.as_own_settings():
        from web.tokens import Purpose, sign, token_claims

        account = Account(user["id"], user["email"], "user", user["app_id"])
        token = sign(Purpose.TOKEN, token_claims(account, latest_expiry=ends_at))
    reader = read(shop_web.http, room=room, token=token)
    reader.told(1)
    assert reader.next() is None
    assert ends_at <= time.time() < ends_at + 3


def test_anothers_job_and_documents_are_not_told(
    read: Read, ann: httpx2.Client, bob: httpx2.Client, join: Connect
) -> None:
    job_id = submit(ann, "add", 1, 2)["job_id"]
    assert refused(bob, job=job_id) == (404, [])
    assert refused(bob, model="item", userId=account_of(ann)["id"]) == (403, [])
    reader = read(bob, model="item")
    reader.told(1)
    stored(ann, "item", name="ann's")
    his = stored(bob, "item", name="bob's")
    assert reader.told(1)[0].data["id"] == his["id"]


# -- what is refused


@pytest.mark.parametrize(
    ("query", "status", "named"),
    [
        ({}, 422, ["model"]),
        ({"model": "tusk"}, 404, []),
        ({"job": "nowhere"}, 404, []),
        ({"batch": "nowhere"}, 404, []),
        ({"room": "two words"}, 422, ["room"]),
        ({"model": "task", "id": "a:b"}, 422, ["model"]),
        ({"model": "task", "userId": "a b"}, 422, ["model"]),
        ({"model": "task", "filter": "{"}, 422, ["filter"]),
        ({"model": "task", "filter": "[]"}, 422, ["filter"]),
        ({"model": "task", "filter": "0"}, 422, ["filter"]),
        ({"model": "task", "filter": '{"n":{"$near":1}}'}, 422, ["filter"]),
        ({"room": "a", "filter": '{"n":1}'}, 422, ["model"]),
        ({"room": "a", "id": "x"}, 422, ["model"]),
        ({"room": "a", "since": "yesterday"}, 422, ["since"]),
        ({"room": "a", "since": "e.1,e.2"}, 422, ["since"]),
        ({"room": "a", "since": "e.²"}, 422, ["since"]),
        ({"room": "a", "since": "e." + "9" * 5000}, 422, ["since"]),
        ({"room": "a", "since": "e.9999999999999999"}, 422, ["since"]),
        ({"room": "a", "since": "{"}, 422, ["since"]),
        ({"room": "a", "since": "1"}, 422, ["since"]),
        ({"room": "a", "colour": "red"}, 422, ["colour"]),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_query_that_does_not_fit_is_a_problem(
    ann: httpx2.Client, query: dict[str, str], status: int, named: list[str]
) -> None:
    assert refused(ann, **query) == (status, named)


@pytest.mark.parametrize("last_id", ["nonsense", "e.\xb2", "0,0"])
def test_a_last_event_id_that_is_none_is_a_problem(ann: httpx2.Client, room: str, last_id: str) -> None:
    headers = {"Last-Event-ID": last_id.encode("latin-1")}
    assert ann.get("/events", params={"room": room}, headers=headers).status_code == 422


def test_a_reader_who_has_gone_is_let_go_with_the_next_event(
    ann: httpx2.Client, shop_web: Web, inside: Inside, room: str
) -> None:
    with RawClient(shop_web.port) as client:
        client.send(f"GET /events?room={room}&token={token_of(ann)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        client.lines(until=b"data: ")
        port = client.port
    assert on_its_way(shop_web, port) is not None

    def is_gone() -> bool:
        inside.publish(room, "is anybody there?")
        return on_its_way(shop_web, port) is None

    assert eventually(is_gone)
