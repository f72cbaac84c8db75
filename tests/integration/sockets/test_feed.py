"""What a process with sockets is told gets lost; those who follow miss nothing, or are told to come again."""

from __future__ import annotations

import os
import secrets
import signal
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

import httpx2
import pytest

from platform import embedded
from platform.routing.rooms import room_stream
from platform.routing.subscriptions import SWEEP_BATCH
from platform.streams.names import meta_key, stream_key
from tests.changes import replayed
from tests.integration.conftest import Shop
from tests.integration.sockets.conftest import (
    DEADLINE_S,
    Connect,
    Inside,
    Listener,
    Listening,
    SocketListener,
    Speaker,
    goes_on,
    patched,
    speaking,
    stored,
    token_of,
)
from tests.processes import Web
from tests.waiting import eventually

LOST = "the feed of the sockets was lost"
WAITING = "subscriptions wait for the record store"


@pytest.fixture(scope="module")
def ann(shop: Shop, shop_web: Web) -> httpx2.Client:
    return shop.caller(shop_web)


@pytest.fixture
def room() -> str:
    return f"room-{secrets.token_hex(4)}"


@pytest.fixture
def listeners(ann: httpx2.Client, shop_web: Web, room: str) -> list[Listener]:
    token = token_of(ann)
    return [SocketListener(shop_web, token, room) for _ in range(5)]


def cut_feed(inside: Inside, web: Web) -> int:
    """Close the connections on which that gunicorn's processes hear; of how many. A worker's are left alone."""
    listed = [Path(f"/proc/{pid}/fd") for pid in children_of(web.pid)]
    sockets = {os.readlink(file) for folder in listed for file in folder.iterdir()}
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ports = {int(line[1].rpartition(":")[2], 16) for line in lines if f"socket:[{line[9]}]" in sockets}
    heard = [
        client for client in inside.client.client_list("pubsub") if int(client["addr"].rpartition(":")[2]) in ports
    ]
    return sum(inside.client.client_kill_filter(_id=client["id"]) for client in heard)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def end(listeners: Sequence[Listener]) -> None:
    for listener in listeners:
        listener.join(DEADLINE_S)
        assert not listener.is_alive()


def have_heard_everything_once(speaker: Speaker, listeners: list[Listener]) -> bool:
    """In its order; what may have been said or not may have been heard or not."""
    end(listeners)
    for listener in listeners:
        assert [number for number in listener.heard if number not in speaker.doubtful] == speaker.said
        numbers = listener.heard[:-1]
        assert numbers == sorted(set(numbers))
    return True


# -- the connection


def test_when_the_connection_is_cut_again_and_again_everybody_hears_everything_once(
    listeners: list[Listener], listening: Listening, inside: Inside, room: str
) -> None:
    with speaking(inside, room) as speaker:
        listening(listeners)
        for _ in range(5):
            assert inside.client.client_kill_filter(_type="pubsub") >= 1
            goes_on(speaker, listeners)
    assert have_heard_everything_once(speaker, listeners)
    assert [listener.sent_away for listener in listeners] == [[]] * 5


def test_documents_changed_while_the_connection_is_cut_are_told_in_every_version(
    join: Connect, ann: httpx2.Client, shop_web: Web, shop_worker: object, inside: Inside
) -> None:
    follower, filtered = join(ann), join(ann)
    follower.follow(channel={"model": "task"})
    filtered.follow(channel={"model": "task"}, filter={"n": {"$gte": 0}})
    document = stored(ann, "task", title="kept")
    for n in range(1, 21):
        assert cut_feed(inside, shop_web) >= 1
        document = patched(ann, document, n=n)
    frames = follower.told(21)
    assert [frame["version"] for frame in frames] == list(range(1, 22))
    seen = None
    for frame in frames:
        seen = replayed(seen, frame)
    assert seen == document
    assert [frame["version"] for frame in filtered.told(21)] == list(range(1, 22))
    assert follower.rest() == filtered.rest() == []


def test_who_are_the_first_to_follow_something_in_a_process_miss_nothing(
    shop: Shop, ann: httpx2.Client, listening: Listening, inside: Inside, room: str, join: Connect
) -> None:
    token = token_of(ann)
    web = shop.start_web()
    with speaking(inside, room) as speaker:
        newcomers = [SocketListener(web, token, room, since=None) for _ in range(20)]
        listening(newcomers)
        goes_on(speaker, newcomers)
    end(newcomers)
    for listener in newcomers:
        assert listener.heard == speaker.said[bisect_right(speaker.offsets, listener.began) :]
        assert listener.sent_away == []


# -- the registry


def test_a_process_taken_for_dead_goes_on_under_another_name_and_nobody_misses_anything(
    listeners: list[Listener], listening: Listening, inside: Inside, room: str, shop_web: Web
) -> None:
    with speaking(inside, room) as speaker:
        listening(listeners)
        before = set(inside.registry.processes())
        for name in before:
            inside.client.delete(f"{inside.registry.prefix}routing:process:{name}")
        while inside.registry.sweep() == SWEEP_BATCH:
            continue
        assert set(inside.registry.processes()).isdisjoint(before)
        assert eventually(lambda: len(inside.registry.processes()) == len(before), DEADLINE_S)
        goes_on(speaker, listeners)
    assert have_heard_everything_once(speaker, listeners)
    assert [listener.sent_away for listener in listeners] == [[]] * 5
    assert "it goes on under another name" in shop_web.text()


def test_a_process_that_ends_is_in_the_registry_no_more(
    shop: Shop, ann: httpx2.Client, join: Connect, inside: Inside, room: str
) -> None:
    before = set(inside.registry.processes())
    web = shop.start_web()
    join(ann, web=web).follow(room=room)
    [name] = set(inside.registry.processes()) - before
    web.http.close()
    web.signal(signal.SIGTERM)
    assert web.wait() == 0
    assert name not in inside.registry.processes()
    assert inside.registry.lookup([f"app:default:room:{room}"]).groups == {}


def test_what_nobody_follows_any_more_is_left(join: Connect, ann: httpx2.Client, inside: Inside, room: str) -> None:
    channel = f"app:default:room:{room}"
    one, other = join(ann), join(ann)
    for client in (one, other):
        client.follow(room=room)
    one.ask(type="unsubscribe", room=room)
    other.ws.close()
    assert eventually(lambda: inside.registry.lookup([channel]).groups == {})


def test_what_is_left_while_the_store_is_away_is_left_when_it_is_back(
    join: Connect, ann: httpx2.Client, inside: Inside, room: str, shop: Shop, shop_web: Web
) -> None:
    client, channel, folder = join(ann), f"app:default:room:{room}", shop.folder / "d"
    client.follow(room=room)
    before, troubles = set(inside.registry.processes()), shop_web.text().count(WAITING)
    assert client.ask(type="unsubscribe", room=room)["type"] == "unsubscribed"
    embedded.stop(folder)
    try:
        assert eventually(lambda: shop_web.text().count(WAITING) > troubles, DEADLINE_S)
    finally:
        embedded.ensure_running(folder)
    assert eventually(lambda: inside.registry.lookup([channel]).groups == {}, DEADLINE_S)
    assert set(inside.registry.processes()) == before  # else it was swept, and with it what it had joined


# -- the store


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_when_the_store_was_away_everybody_hears_everything_once_or_is_told_to_come_again(
    listeners: list[Listener], listening: Listening, inside: Inside, room: str, shop: Shop, how: str
) -> None:
    folder = shop.folder / "d"
    with speaking(inside, room) as speaker:
        listening(listeners)
        if how == "stopped":
            embedded.stop(folder)
        else:
            os.kill(inside.client.info("server")["process_id"], signal.SIGKILL)
            assert eventually(lambda: not embedded.is_served(folder))
        assert eventually(lambda: len(speaker.doubtful) > 10)
        embedded.ensure_running(folder)
        said = len(speaker.said)
        assert eventually(lambda: len(speaker.said) > said, DEADLINE_S)
        goes_on(speaker, listeners)
    assert have_heard_everything_once(speaker, listeners)
    assert all(set(listener.sent_away) <= {1012} for listener in listeners)


def test_a_store_that_is_frozen_is_noticed_and_nothing_is_missed(
    listeners: list[Listener], listening: Listening, inside: Inside, room: str, shop_web: Web
) -> None:
    pid = inside.client.info("server")["process_id"]
    with speaking(inside, room) as speaker:
        listening(listeners)
        losses = shop_web.text().count(LOST)
        os.kill(pid, signal.SIGSTOP)
        try:
            assert eventually(lambda: shop_web.text().count(LOST) > losses, 30)
        finally:
            os.kill(pid, signal.SIGCONT)
        said = len(speaker.said)
        assert eventually(lambda: len(speaker.said) > said, DEADLINE_S)
        goes_on(speaker, listeners)
    assert have_heard_everything_once(speaker, listeners)
    assert all(set(listener.sent_away) <= {1012} for listener in listeners)


def test_while_the_store_is_away_what_needs_it_is_unavailable_and_the_rest_goes_on(
    shop: Shop, join: Connect, ann: httpx2.Client, shop_web: Web, open_socket: Connect, inside: Inside, room: str
) -> None:
    client, token = join(ann), token_of(ann)
    client.follow(ref="kept", room=room)
    folder = shop.folder / "d"
    embedded.stop(folder)
    try:
        for message in (
            {"type": "subscribe", "room": f"{room}-new"},
            {"type": "subscribe", "job": "some"},
            {"type": "publish", "room": room, "data": 1},
            {"type": "call", "module": "Calc", "function": "multiply", "args": {"a": 1}},
        ):
            answer = client.ask(ref=1, **message)
            assert (answer["type"], answer["ref"], answer["code"]) == ("error", 1, "unavailable"), message
        assert client.ask(type="ping") == {"type": "pong"}
        assert open_socket(shop_web, token).next()["type"] == "connected"
        assert shop_web.http.get("/health").status_code == 200
    finally:
        embedded.ensure_running(folder)
    assert eventually(lambda: client.ask(type="subscribe", room=f"{room}-new")["type"] == "subscribed", DEADLINE_S)
    assert eventually(lambda: client.ask(type="publish", ref=1, room=room, data="again")["type"] == "published")
    assert client.told(1)[0]["data"] == "again"


def test_a_store_that_forgot_everything_sends_everybody_to_begin_again(
    join: Connect, ann: httpx2.Client, inside: Inside, room: str
) -> None:
    """Nobody can tell what was missed."""
    client = join(ann)
    client.follow(room=room)
    inside.publish(room, "before")
    [before] = client.told(1)
    inside.client.flushall()
    inside.client.client_kill_filter(_type="pubsub")
    assert client.closed(DEADLINE_S).code == 1012
    back = join(ann)
    begun = back.follow(room=room, since={"epoch": "of then", "offset": before["offset"]})
    assert not begun["recovered"]
    inside.publish(room, "after")
    [after] = back.told(1)
    assert after["data"] == "after"
    assert after["offset"] > before["offset"]


def test_a_stream_that_began_anew_while_nobody_followed_it_sends_nobody_away(
    join: Connect, ann: httpx2.Client, inside: Inside, room: str, shop_web: Web
) -> None:
    client = join(ann)
    first = client.follow(ref=1, room=room)
    assert client.ask(type="unsubscribe", ref=1)["type"] == "unsubscribed"
    forget(inside, room)
    second = client.follow(ref=2, room=room)
    assert second["epoch"] != first["epoch"]
    assert cut_feed(inside, shop_web) >= 1
    inside.publish(room, "after")
    assert client.told(1)[0]["data"] == "after"
    assert client.ask(type="ping") == {"type": "pong"}


def forget(inside: Inside, room: str) -> None:
    """As the store does with a stream for which its time is over."""
    prefix, name = inside.registry.prefix, room_stream(inside.config.app_id, room)
    assert inside.client.delete(meta_key(prefix, name), stream_key(prefix, name)) >= 1
