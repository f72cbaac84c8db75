"""Following from the last value on: of what is worthless once something newer was said, that alone comes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable

import httpx2
import pytest

from platform.routing.rooms import room_stream
from platform.streams.names import stream_key
from tests.integration.asking import ended, submit
from tests.integration.conftest import Shop
from tests.integration.sockets.conftest import Connect, Inside
from tests.integration.sockets.door import Door
from web.client import Client

WAIT_S = 20.0

pytestmark = pytest.mark.usefixtures("shop_worker")


@pytest.fixture
def room() -> str:
    return f"room-{secrets.token_hex(4)}"


def test_the_last_message_comes_first_and_then_what_follows(
    join: Connect, ann: httpx2.Client, inside: Inside, room: str
) -> None:
    *_, before, last = inside.publish(room, *range(5))
    client = join(ann)
    begun = client.follow(room=room, since="last")
    assert (begun["epoch"], begun["recovered"]) == (last.epoch, True)
    assert before.offset <= begun["offset"] < last.offset
    assert [frame["data"] for frame in client.told(1)] == [4]
    inside.publish(room, "next")
    assert [frame["data"] for frame in client.rest()] == ["next"]


def test_where_nothing_was_said_what_follows_comes(
    join: Connect, ann: httpx2.Client, inside: Inside, room: str
) -> None:
    client = join(ann)
    assert client.follow(room=room, since="last")["recovered"]
    inside.publish(room, "first")
    assert [frame["data"] for frame in client.rest()] == ["first"]


def test_a_last_message_that_is_forgotten_is_said_to_be(
    join: Connect, ann: httpx2.Client, inside: Inside, room: str
) -> None:
    inside.publish(room, 1)
    join(ann).follow(room=room)
    assert inside.client.delete(stream_key("{platform}:", room_stream("default", room)))
    client = join(ann)
    assert not client.follow(room=room, since="last")["recovered"]
    assert client.rest() == []


def test_one_frame_resumes_from_last_values(join: Connect, ann: httpx2.Client, inside: Inside, room: str) -> None:
    inside.publish(room, 1, 2)
    job_id = submit(ann, "add", 1, 2)["job_id"]
    ended(ann, job_id)
    client = join(ann)
    wanted = [{"ref": 1, "room": room, "since": "last"}, {"ref": 2, "job": job_id, "since": "last"}]
    client.say(type="resume", ref=3, subscriptions=wanted)
    assert [client.answer()["type"] for _ in range(3)] == ["subscribed", "subscribed", "resumed"]
    message, job = client.told(2)
    assert (message["data"], job["data"]["result"]) == (2, 3)


def test_documents_have_none(join: Connect, ann: httpx2.Client) -> None:
    client = join(ann)
    answer = client.ask(type="subscribe", ref=1, channel={"model": "task"}, since="last")
    assert (answer["type"], answer["code"]) == ("error", "bad_since")
    assert "except of documents" in answer["message"]
    answer = ann.get("/events", params={"model": "task", "since": "last"})
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["query", "since"])


@pytest.mark.parametrize("how", ["query", "Last-Event-ID"])
def test_server_sent_events_begin_with_the_last_message(
    ann: httpx2.Client, inside: Inside, room: str, how: str
) -> None:
    inside.publish(room, 1, 2)
    query, headers = ({"since": "last"}, {}) if how == "query" else ({}, {"Last-Event-ID": "last"})
    with ann.stream("GET", "/events", params={"room": room} | query, headers=headers) as response:
        said = (json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: "))
        assert next(said)["recovered"]
        assert next(said)["data"] == 2


@pytest.fixture
def door(shop: Shop) -> Door:
    return Door(shop)


def test_a_program_is_given_the_last_message_alone_after_an_interruption_too(
    inside: Inside, new_caller: Callable[..., httpx2.Client], door: Door, room: str
) -> None:
    inside.publish(room, *range(3))
    key = new_caller().headers["Authorization"].removeprefix("Bearer ")
    with Client(door.url, key, timeout_s=WAIT_S) as client, client.socket() as socket:
        following = socket.subscribe(room=room, since="last")
        assert following.next(WAIT_S).data == 2
        door.close()
        inside.publish(room, *range(3, 6))
        door.open()
        assert following.next(WAIT_S).data == 5
        door.close()
        door.open()
        assert socket.ping() < WAIT_S
        inside.publish(room, 6)
        assert following.next(WAIT_S).data == 6, "what was seen came again"


def test_a_last_message_that_was_seen_may_be_forgotten(
    inside: Inside, new_caller: Callable[..., httpx2.Client], door: Door, room: str
) -> None:
    inside.publish(room, "seen")
    key = new_caller().headers["Authorization"].removeprefix("Bearer ")
    with Client(door.url, key, timeout_s=WAIT_S) as client, client.socket() as socket:
        following = socket.subscribe(room=room, since="last")
        assert following.next(WAIT_S).data == "seen"
        door.close()
        assert inside.client.delete(stream_key("{platform}:", room_stream("default", room)))
        door.open()
        assert socket.ping() < WAIT_S
        inside.publish(room, "next")
        assert following.next(WAIT_S).event == "message", "nothing was missed"
