"""Parts of streams that were read lately: of those who come back together, nobody reads what another has read.

After a restart thousands want all since nearly the same moment. Reading it for each of them would take the store, which
is the broker's too, thousands of times as long as reading it once; meanwhile more happens that all of them miss.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque

from gevent.lock import BoundedSemaphore

from platform.streams.delivery import Position
from platform.streams.history import Entries, Histories
from web.sockets.latest import Latest

#: Parts kept at a time, each of 500 entries or a megabyte at most, and for how long after its last use, in seconds.
MOST_PARTS, KEPT_S = 24, 10.0
#: Smaller ones are read again: the latest part of a busy stream is always another one.
LEAST_ENTRIES = 20
#: Parts read at a time. Each takes a connection to the store, of which the whole process has a hundred.
MOST_READING = 8


class _Part:
    """All that a stream was given after ``begin`` and up to ``upto``."""

    __slots__ = ("begin", "entries", "epoch", "offsets", "stream", "upto", "used_at")

    def __init__(self, stream: str, read: Entries):
        self.stream, self.epoch, self.upto = stream, read.position.epoch, read.position.offset
        self.entries = read.kept
        self.offsets = [offset for offset, _ in read.kept]
        self.begin = int(read.kept[0][1]["prev"])  # every entry names the one before it
        self.used_at = time.monotonic()

    def after(self, since: Position) -> Entries:
        self.used_at = time.monotonic()
        kept = self.entries[bisect_right(self.offsets, since.offset) :]
        return Entries(Position(self.epoch, self.upto), since.epoch in ("", self.epoch), False, kept)


class Parts:
    """Of the streams in one store, for one process. Raises BrokerUnavailable."""

    def __init__(self, histories: Histories):
        self._histories = histories
        self._kept: deque[_Part] = deque(maxlen=MOST_PARTS)
        self._reading = BoundedSemaphore(MOST_READING)
        self._latest = Latest(self._read_now)

    def now(self, stream: str) -> Position:
        """Where whoever begins to follow the stream stands."""
        return self._latest.position(stream)

    def entries(self, stream: str, since: Position) -> Entries:
        """As ``Histories.entries``. What was read before is never said to be complete: there may be more by now."""
        found = self._find(stream, since)
        if found is None:
            with self._reading:
                found = self._find(stream, since) or self._read(stream, since)
        return found

    def forget_old(self) -> None:
        """To be called now and then."""
        before = time.monotonic() - KEPT_S
        if any(part.used_at < before for part in self._kept):
            self._kept = deque((part for part in self._kept if part.used_at >= before), MOST_PARTS)

    def _read_now(self, stream: str) -> Position:
        with self._reading:
            return self._histories.now(stream)

    def _find(self, stream: str, since: Position) -> Entries | None:
        fitting = [part for part in self._kept if part.stream == stream and part.begin <= since.offset < part.upto]
        return max(fitting, key=lambda part: part.upto).after(since) if fitting else None

    def _read(self, stream: str, since: Position) -> Entries:
        read = self._histories.entries(stream, since)
        if any(part.stream == stream and part.epoch != read.position.epoch for part in self._kept):
            self._kept.clear()  # the store was lost
        if len(read.kept) >= LEAST_ENTRIES:
            self._kept.append(_Part(stream, read))
        return read
