"""Those in this process who follow the same: one channel, one filter, under one name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import gevent
import msgspec

from platform.streams.event import from_fields, other_frame
from web.sockets.outgoing import Outgoing, outgoing
from web.sockets.topics import Device, Documents, Streamed

#: Followers told before others get a turn: some milliseconds.
TURN = 256
#: Frames kept for a newcomer who reads history meanwhile, and their characters; with more the history is read again
#: from there.
MOST_KEPT, MOST_KEPT_CHARS = 1_000, 131_072


class Follower(Protocol):
    """Whoever gets frames; ``push`` is called in the loop of the feed and must not block."""

    def push(self, frame: Outgoing) -> None: ...

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

    def keep(self, frame: Outgoing) -> None:
        self._chars += len(frame.text)
        if len(self.frames) >= MOST_KEPT or self._chars > MOST_KEPT_CHARS:
            self.frames, self.is_behind = [], True
        if not self.is_behind:
            self.frames.append(frame)

    def begin_again(self) -> None:
        """Keep what is told from now on; all before is in the history."""
        self.frames, self._chars, self.is_behind = [], 0, False


class Audience:
    """Followers, newcomers, and how far they have been told.

    While ``held`` is a list, the history is being read for all of them, from ``certain`` on, and what is told waits.
    """

    __slots__ = ("_everybody", "certain", "followers", "held", "newcomers", "offset", "topic")

    def __init__(self, topic: Streamed | Device):
        self.topic = topic
        self.offset = 0
        self.followers: set[Follower] = set()
        self.newcomers: dict[Follower, Newcomer] = {}
        self.held: list[Item] | None = None
        self.certain = 0
        self._everybody: tuple[Follower, ...] | None = None

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
        for frame in newcomer.frames:
            if frame.offset > read_upto or not frame.offset:
                follower.push(frame)
        newcomer.frames, newcomer.floor = [], read_upto
        if read_upto <= self.offset:
            self._promote([follower])

    def leave(self, follower: Follower) -> None:
        self.newcomers.pop(follower, None)
        self.followers.discard(follower)
        self._everybody = None

    def tell(self, frame: Outgoing) -> None:
        """Push to everybody, with turns for others; what was told before is not told again."""
        if frame.offset:
            if frame.offset <= self.offset:
                return
            self.offset = frame.offset
        if self.newcomers:
            self._tell_newcomers(frame)
        everybody = self._everybody
        if everybody is None:
            self._everybody = everybody = tuple(self.followers)
        for number, follower in enumerate(everybody, 1):
            follower.push(frame)
            if number % TURN == 0:
                gevent.sleep(0)

    def _tell_newcomers(self, frame: Outgoing) -> None:
        caught_up = []
        for follower, newcomer in self.newcomers.items():
            if newcomer.floor is None:
                newcomer.keep(frame)
            elif frame.offset > newcomer.floor:
                caught_up.append(follower)
            elif not frame.offset:
                follower.push(frame)
        self._promote(caught_up)

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


_items = msgspec.json.Decoder(list[Item])


def items_of(message: bytes | str) -> Iterator[Any]:
    """What one message to this process says."""
    return iter(_items.decode(message))
