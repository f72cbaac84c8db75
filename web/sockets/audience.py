"""Those in this process who follow the same: one channel, one filter, under one name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import gevent
import msgspec

from platform.streams.event import from_fields, other_frame
from web.sockets.outgoing import Burst, Outgoing, bursts, outgoing
from web.sockets.topics import Device, Documents, Streamed

#: Followers told before others get a turn: some milliseconds.
TURN = 256
#: Frames kept for a newcomer who reads history meanwhile, and their characters; with more the history is read again
#: from there.
MOST_KEPT, MOST_KEPT_CHARS = 1_000, 131_072


class Follower(Protocol):
    """Whoever gets frames; ``push`` is called in the loop of the feed and must not block."""

    def push(self, burst: Burst) -> None: ...

    def restart(self, why: str) -> None:
        """It cannot be told all it missed: it is to come again, and say from where."""


class Item(msgspec.Struct):
    """One thing a socket process is told (``platform.streams.delivery``)."""

    groups: list[str]
    channel: str = ""
    frame: msgspec.Raw = msgspec.Raw()
    offset: int = 0
    epoch: str = ""
    reread: bool = False

    def told_as(self, channel: str) -> Outgoing:
        """What those are told who follow it under that name."""
        return outgoing(bytes(self.frame).decode(), channel, self.offset)


class Newcomer:
    """A follower on its way in: what is told while it reads history is kept for it.

    Once it has, it knows all up to the offset ``floor``, which the others may still have to be told.
    """

    __slots__ = ("_chars", "floor", "frames", "is_behind")

    def __init__(self) -> None:
        self.frames: list[Outgoing] = []
        self._chars = 0
        self.is_behind = False
        self.floor: int | None = None

    def keep(self, frames: Sequence[Outgoing]) -> None:
        self.frames += frames
        self._chars += sum(len(frame.text) for frame in frames)
        if self.is_behind or len(self.frames) > MOST_KEPT or self._chars > MOST_KEPT_CHARS:
            self.frames, self.is_behind = [], True

    def begin_again(self) -> None:
        """Keep what is told from now on; all before is in the history."""
        self.frames, self._chars, self.is_behind = [], 0, False


class Audience:
    """Followers, newcomers, and how far they have been told.

    While ``held`` is a list, the history is being read for all of them, from ``certain`` on, and what is told waits.
    """

    __slots__ = ("_everybody", "_left", "certain", "followers", "held", "newcomers", "offset", "topic")

    def __init__(self, topic: Streamed | Device):
        self.topic = topic
        self.offset = 0
        self.followers: set[Follower] = set()
        self.newcomers: dict[Follower, Newcomer] = {}
        self.held: list[Item] | None = None
        self.certain = 0
        self._everybody: tuple[Follower, ...] | None = None
        self._left: set[Follower] | None = None  # since it was begun to tell what is told now

    @property
    def is_empty(self) -> bool:
        return not self.followers and not self.newcomers

    def enter(self, follower: Follower) -> Newcomer:
        self.newcomers[follower] = newcomer = Newcomer()
        return newcomer

    def add(self, follower: Follower) -> None:
        """A follower of what is not kept: there is nothing to read before."""
        self.followers.add(follower)
        self._everybody = None

    def admit(self, follower: Follower, read_upto: int) -> None:
        """The newcomer has been told all up to an offset; now what was kept for it, and then all else."""
        newcomer = self.newcomers[follower]
        for burst in bursts(_beyond(read_upto, newcomer.frames)):
            follower.push(burst)
        newcomer.frames, newcomer.floor = [], read_upto
        if read_upto <= self.offset:
            self._promote([follower])

    def leave(self, follower: Follower) -> None:
        self.newcomers.pop(follower, None)
        self.followers.discard(follower)
        if self._left is not None:
            self._left.add(follower)
        self._everybody = None

    def tell(self, frames: Sequence[Outgoing]) -> None:
        """Push frames, in their order and together, to everybody, with turns for others.

        What was told before is not told again.
        """
        fresh = self._fresh(frames)
        if not fresh:
            return
        everybody = self._everybody
        if everybody is None:
            self._everybody = everybody = tuple(self.followers)
        self._left = set()
        try:
            self._push([(everybody, Burst(fresh)), *self._caught_up(fresh)], self._left)
        finally:
            self._left = None

    def _push(self, told: Iterable[tuple[Sequence[Follower], Burst]], left: set[Follower]) -> None:
        number = 0
        for followers, burst in told:
            for number, follower in enumerate(followers, number + 1):  # noqa: B020 - it goes on from where it was
                if follower not in left:  # who left may be back, and then knows this already
                    follower.push(burst)
                if number % TURN == 0:
                    gevent.sleep(0)

    def _fresh(self, frames: Sequence[Outgoing]) -> list[Outgoing]:
        fresh = []
        for frame in frames:
            if not frame.offset:
                fresh.append(frame)
            elif frame.offset > self.offset:
                fresh.append(frame)
                self.offset = frame.offset
        return fresh

    def _caught_up(self, frames: Sequence[Outgoing]) -> list[tuple[list[Follower], Burst]]:
        """Newcomers who know all up to their floor, with what is beyond it; for those who still read, it is kept."""
        by_floor: dict[int, list[Follower]] = {}
        for follower, newcomer in self.newcomers.items():
            if newcomer.floor is None:
                newcomer.keep(frames)
            else:
                by_floor.setdefault(newcomer.floor, []).append(follower)
        found: dict[int, tuple[list[Follower], Burst]] = {}  # of those beyond some floor as many are the same ones
        for floor, followers in by_floor.items():
            beyond = frames if floor < frames[0].offset else _beyond(floor, frames)
            if beyond:
                found.setdefault(len(beyond), ([], Burst(beyond)))[0].extend(followers)
                if self.offset > floor:
                    self._promote(followers)
        return list(found.values())

    def _promote(self, caught_up: Iterable[Follower]) -> None:
        for follower in caught_up:
            del self.newcomers[follower]
            self.followers.add(follower)
        self._everybody = None

    def hold(self, certain: int) -> None:
        """All up to there is told: what comes now waits until the rest has been read."""
        self.held, self.certain = [], certain

    @property
    def latest_reread(self) -> int:
        """The latest offset that is to be read from the history, of what waits; 0 if none is."""
        return max((item.offset for item in self.held or () if item.reread), default=0)

    def restart(self, why: str) -> None:
        """None of them can be told all that it missed."""
        for follower in [*self.followers, *self.newcomers]:
            follower.restart(why)

    def frame_of(self, offset: int, fields: Mapping[str, str]) -> Outgoing | None:
        """What followers are told of a stream's entry that is on their channel; None: nothing."""
        topic = self.topic
        if not isinstance(topic, Documents):
            text = other_frame(fields["event"], fields["data"], fields.get("room", ""))
            return outgoing(text, topic.told, offset)
        if not topic.view.shows(fields["user"], fields["id"]):
            return None
        event = from_fields(topic.stream, fields)
        kind = event.kind(topic.filter.matches if topic.filter else None)
        return outgoing(event.frame(kind), topic.told, offset) if kind else None


def _beyond(offset: int, frames: Iterable[Outgoing]) -> Sequence[Outgoing]:
    """Frames later than that, and those that have no place."""
    return [frame for frame in frames if frame.offset > offset or not frame.offset]


_items = msgspec.json.Decoder(list[Item])


def runs_of(messages: Iterable[bytes | str], most_bytes: int) -> Iterator[list[Item]]:
    """What messages to this process say: runs of what is for the same groups, one behind the other.

    A run has at most so many bytes of frames, unless one alone has more; what is to be reread stands alone.
    """
    run, size = list[Item](), 0
    for message in messages:
        for item in _items.decode(message):
            size += len(item.frame)
            if run and (size > most_bytes or item.reread or run[0].reread or item.groups != run[0].groups):
                yield run
                run, size = [], len(item.frame)
            run.append(item)
    if run:
        yield run
