"""The hub alone, on a real store: what is told in the very moments in which others look."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import gevent
import pytest
import redis

from platform.routing import rooms
from platform.routing.subscriptions import Subscriptions
from platform.settings import Settings
from platform.streams.delivery import Position, Streams
from web.sockets.audience import MOST_KEPT_CHARS, Item
from web.sockets.hub import Hub
from web.sockets.outgoing import Burst
from web.sockets.parts import Parts
from web.sockets.topics import Room, Start

ROOM = Room("shop", "lobby")


class Hearer:
    """A follower who writes down what it hears."""

    def __init__(self) -> None:
        self.starts: list[Start] = []
        self.heard: list[object] = []
        self.offsets: list[int] = []
        self.sent_away: list[str] = []

    def push(self, burst: Burst) -> None:
        self.heard += [json.loads(frame.text)["data"] for frame in burst.frames]
        self.offsets += [frame.offset for frame in burst.frames]

    def restart(self, why: str) -> None:
        self.sent_away.append(why)

    def wait_until_taken(self) -> None:
        pass


class Process:
    """A hub whose registration runs, and whose feed is what ``say`` tells it."""

    def __init__(self, client: redis.Redis):
        config = Settings()
        self.registry, self.streams = Subscriptions(client, config), Streams(client, config)
        self.hub = Hub(config, self.registry, self.streams)
        self.registry.open(self.hub.membership.process)
        self._running = gevent.spawn(self.hub.membership.run)

    def say(self, *several: object) -> list[Position]:
        """In the room; the hub is told as its feed would."""
        said = []
        for data in several:
            said.append(rooms.publish(ROOM.app_id, ROOM.name, data, self.registry, self.streams))
            frame = {"event": "message", "room": ROOM.name, "data": data}
            told = {"groups": [ROOM.group.key], "channel": ROOM.told, "frame": frame, "offset": said[-1].offset}
            self.hub._take([json.dumps([told]).encode()])
        return said

    def follow(self, since: object = None) -> Hearer:
        hearer = Hearer()
        self.hub.follow(hearer, ROOM, since, hearer.starts.append)
        return hearer

    def stop(self) -> None:
        self._running.kill()
        self.hub.close()


@pytest.fixture
def client(embedded: redis.Redis, redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as text_client:
        yield text_client


@pytest.fixture
def process(client: redis.Redis) -> Iterator[Process]:
    made = Process(client)
    yield made
    made.stop()


@pytest.fixture
def while_looking(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """``while_looking(act)``: something happens just after a newcomer has been told by the store where it stands."""

    def arrange(act: Callable[[], object]) -> None:
        look = Parts.now

        def now(parts: Parts, stream: str) -> Position:
            found = look(parts, stream)
            act()
            return found

        monkeypatch.setattr(Parts, "now", now)

    return arrange


def test_who_begins_now_hears_all_behind_its_place_however_much_is_said_meanwhile(
    process: Process, while_looking: Callable[[Callable[[], object]], None]
) -> None:
    process.follow()
    large = "x" * (MOST_KEPT_CHARS // 2)
    while_looking(lambda: process.say(large, large, large, "last"))
    late = process.follow()
    assert (late.heard, late.starts[0].recovered, late.sent_away) == ([large, large, large, "last"], True, [])
    process.say("after")
    assert late.heard[-1] == "after"
    assert late.offsets == sorted(set(late.offsets))
    assert late.offsets[0] > late.starts[0].position.offset


def test_what_is_to_be_read_and_is_lost_is_not_waited_for(process: Process, client: redis.Redis) -> None:
    """A store that was killed has lost its last second: entries it told of are not there any more."""
    follower = process.follow()
    [kept] = process.say("kept")
    audience = process.hub._audiences[ROOM.group.key][ROOM.told]
    rereads = [Item([ROOM.group.key], ROOM.told, offset=kept.offset + n, reread=True) for n in (100, 200)]
    for item in rereads:
        process.hub._reread(item)
    gevent.joinall(list(process.hub._catching_up), timeout=5, raise_error=True)
    assert audience.held is None, "it still reads"
    process.say("after")
    assert follower.heard == ["kept", "after"]


@pytest.mark.parametrize("levels", [256, 257, 900, 2_000])
def test_what_nobody_could_read_is_not_said(process: Process, levels: int) -> None:
    data = json.loads("[" * levels + "]" * levels) if levels < 950 else _nested(levels)
    follower = process.follow()
    if levels == 256:
        process.say(data)
        assert follower.heard == [data]
        return
    with pytest.raises((rooms.DeepMessage, rooms.serialization.NotJSON)):
        process.say(data)
    process.say("after")
    assert follower.heard == ["after"]


def _nested(levels: int) -> list:
    data: list = []
    for _ in range(levels - 1):
        data = [data]
    return data
