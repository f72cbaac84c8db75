from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.queue import Queue

from platform.errors import UnknownJob
from platform.streams.delivery import Position
from web.sockets.outgoing import Burst
from web.sockets.topics import JobTopic, Start
from web.sockets.watches import Watches

JOB = JobTopic("shop", "j1")
TIMEOUT_S = 5.0
FIRST, SECOND = "2026-01-01T00:00:00.000Z", "2026-01-09T00:00:00.000Z"

Read = tuple[Mapping[str, Any], int]


class Store:
    """One record, and readings of it that take as long as a test wants."""

    settled_s = 0.0

    def __init__(self) -> None:
        self.created_at, self.revision = FIRST, 1
        self.is_known = True
        #: Of the next readings, each: when what it read arrives.
        self.held: list[Event] = []
        self.reads: Queue[int] = Queue()

    def channel(self, id: str) -> str:
        return f"job:{id}"

    def read(self, id: str) -> Read:
        found: Read = {"created_at": self.created_at, "state": "running"}, self.revision
        is_known = self.is_known
        gate = self.held.pop(0) if self.held else None
        self.reads.put(self.revision)
        if gate is not None:
            assert gate.wait(TIMEOUT_S)
        if not is_known:
            raise UnknownJob(id)
        return found

    def hold(self, count: int) -> list[Event]:
        """The next readings take until their events are set."""
        self.held = [Event() for _ in range(count)]
        return list(self.held)


class Bells:
    """In place of the listener. ``on_register`` is what happens while a subscription begins."""

    def __init__(self) -> None:
        self.registered: dict[str, Any] = {}
        self.on_register: Callable[[], None] = lambda: None

    def register(self, channel: str, waker: Any) -> None:
        self.on_register()
        self.registered[channel] = waker

    def unregister(self, channel: str, waker: Any) -> None:
        if self.registered.get(channel) is waker:
            del self.registered[channel]


class Ear:
    def __init__(self) -> None:
        self.heard: Queue[int] = Queue()
        self.starts: list[Start] = []
        self.restarted: list[str] = []

    def push(self, burst: Burst) -> None:
        for frame in burst.frames:
            self.heard.put(frame.offset)

    def restart(self, why: str) -> None:
        self.restarted.append(why)

    @property
    def all(self) -> list[int]:
        return list(self.heard.queue)


class Room:
    """Watches of one job, whose readings and announcements are the test's to make."""

    def __init__(self) -> None:
        self.store, self.bells = Store(), Bells()
        self.watches = Watches({"job": self.store}, self.bells)  # type: ignore[arg-type]

    def follow(self, ear: Ear, since: Position | None = None) -> None:
        self.watches.follow(ear, JOB, since, ear.starts.append)

    def announce(self, revision: int, created_at: str = FIRST) -> None:
        self.store.revision, self.store.created_at = revision, created_at
        self.bells.registered["job:j1"].set()


def settle() -> None:
    """Let everything run that can, without the clock."""
    for _ in range(20):
        gevent.sleep(0)


@pytest.fixture
def room() -> Iterator[Room]:
    with gevent.Timeout(TIMEOUT_S):
        yield Room()


@pytest.fixture
def ear() -> Ear:
    return Ear()


def test_each_newer_record_is_told_once(room: Room, ear: Ear) -> None:
    room.follow(ear)
    for revision in (2, 2, 3):
        room.announce(revision)
        settle()
    assert ear.all == [1, 2, 3]


def test_what_was_read_before_another_began_goes_back_for_nobody(room: Room, ear: Ear) -> None:
    """The older record is on its way to those who follow already when somebody begins with the newer one."""
    early = Ear()
    room.follow(early)
    settle()
    room.store.reads.queue.clear()
    [gate] = room.store.hold(1)
    room.announce(2)
    assert room.store.reads.get() == 2
    room.store.revision = 3
    room.follow(ear)
    gate.set()
    settle()
    assert ear.all == [3]
    assert early.all == [1, 2, 3]
    assert ear.restarted == early.restarted == []


def test_who_begins_with_an_older_record_is_told_the_newer_one_next(room: Room, ear: Ear) -> None:
    """The other way round: while its beginning is on its way the others are told more."""
    early = Ear()
    room.follow(early)
    settle()
    [gate] = room.store.hold(1)
    begins = gevent.spawn(room.follow, ear)
    settle()
    room.announce(2)
    settle()
    gate.set()
    begins.join()
    settle()
    assert (early.all, ear.all) == ([1, 2], [1, 2])


@pytest.mark.parametrize("revision", [1, 3, 4])
def test_a_record_made_anew_sends_its_followers_away_once_and_they_come_back_to_it(
    room: Room, ear: Ear, revision: int
) -> None:
    """Whether or not its revision is the one they had."""
    room.follow(ear)
    room.announce(3)
    settle()
    room.announce(revision, SECOND)
    settle()
    assert (ear.all, len(ear.restarted)) == ([1, 3], 1)
    room.watches.leave(ear, JOB)
    back = Ear()
    room.follow(back, Position(ear.starts[0].position.epoch, 3))
    [begun] = back.starts
    assert (back.all, begun.recovered, begun.position.offset) == ([revision], False, revision - 1)
    assert begun.position.epoch != ear.starts[0].position.epoch
    settle()
    room.announce(revision + 1, SECOND)
    settle()
    assert (back.all, back.restarted) == ([revision, revision + 1], [])


def test_a_store_that_lost_the_latest_revisions_sends_followers_away(room: Room, ear: Ear) -> None:
    room.follow(ear)
    room.announce(5)
    settle()
    room.announce(4)
    settle()
    assert (ear.all, len(ear.restarted)) == ([1, 5], 1)


def test_who_comes_back_with_what_it_has_seen_is_told_nothing_again(room: Room, ear: Ear) -> None:
    room.follow(ear)
    settle()
    room.watches.leave(ear, JOB)
    again = Ear()
    room.follow(again, Position(ear.starts[0].position.epoch, 1))
    settle()
    assert (again.all, again.starts[0].recovered) == ([], True)


def test_another_who_leaves_while_a_watch_begins_does_not_take_it_along(room: Room, ear: Ear) -> None:
    """The first follower still waits for the listener when a second comes and is refused."""
    begun, gate = Event(), Event()

    def wait() -> None:
        begun.set()
        assert gate.wait(TIMEOUT_S)

    room.bells.on_register = wait
    first = gevent.spawn(room.follow, ear)
    assert begun.wait(TIMEOUT_S)
    room.store.is_known = False
    with pytest.raises(UnknownJob):
        room.follow(Ear())
    room.store.is_known = True
    gate.set()
    first.get()
    settle()
    room.announce(2)
    settle()
    assert (ear.all, len(room.watches)) == ([1, 2], 1)
    room.watches.leave(ear, JOB)
    assert (len(room.watches), room.bells.registered) == (0, {})


def test_who_cannot_be_listened_for_follows_nothing(room: Room, ear: Ear) -> None:
    def fail() -> None:
        raise RuntimeError("can't start new thread")

    room.bells.on_register = fail
    with pytest.raises(RuntimeError):
        room.follow(ear)
    assert len(room.watches) == 0
