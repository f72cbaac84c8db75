"""Jobs and batches that are followed here: their last value.

Read again when the record changes, told once for each newer one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

import gevent

from platform import store
from platform.batches.errors import UnknownBatch
from platform.batches.records import Records as BatchRecords
from platform.errors import BrokerUnavailable, UnknownJob
from platform.jobs.records import Records as JobRecords
from platform.streams.delivery import Position
from platform.streams.event import as_json, other_frame
from platform.streams.history import LAST, position_of
from web.sockets.audience import Follower
from web.sockets.outgoing import Burst, Outgoing, outgoing
from web.sockets.topics import Start, Watched
from web.waiting import Listener

log = logging.getLogger(__name__)

RETRY_S = 0.5
#: A batch is announced ten times a second at most; what was withheld is there after this long.
SETTLED_S = 0.1
UNKNOWN = (UnknownJob, UnknownBatch)
BEGAN_ANEW = "the record was made anew, or the store lost some of it"


class Source(Protocol):
    """Where records of a kind are. Their revisions only grow; a record made anew under its id is created later.

    ``settled_s``: how long after one announcement the next is withheld; 0 none is.
    """

    settled_s: float

    def channel(self, id: str) -> str: ...

    def read(self, id: str) -> tuple[Mapping[str, Any], int]: ...


class Jobs:
    settled_s = 0.0

    def __init__(self, records: JobRecords):
        self._records, self.channel = records, records.channel

    def read(self, id: str) -> tuple[Mapping[str, Any], int]:
        job, revision = self._records.get_with_revision(id)
        return job.as_dict(), revision


class Batches:
    settled_s = SETTLED_S

    def __init__(self, records: BatchRecords):
        self._records, self.channel = records, records.channel

    def read(self, id: str) -> tuple[Mapping[str, Any], int]:
        batch, revision = self._records.get_with_revision(id)
        return batch.as_dict(), revision


class _Watch:
    """One record, its followers here, and where each of them stands; None while its beginning is read."""

    def __init__(self, watches: Watches, topic: Watched):
        self.watches, self.topic = watches, topic
        self.settled_s = watches.source(topic).settled_s
        self.told: dict[Follower, Position | None] = {}
        self._is_stale = self._is_reading = False

    def set(self) -> None:
        """The record has changed; called by the listener, so the reading is somebody else's."""
        self._is_stale = True
        if not self._is_reading:
            self._is_reading = True
            gevent.spawn(self._follow)

    def _follow(self) -> None:
        try:
            while self._is_stale and self.told:
                self._is_stale = False
                self._tell()
                if self.settled_s:
                    self._settle()
        finally:
            self._is_reading = False

    def _settle(self) -> None:
        """Not again at once; and where nothing else is announced meanwhile, what was withheld."""
        gevent.sleep(self.settled_s)
        if not self._is_stale:
            self._tell()
            gevent.sleep(self.settled_s)

    def _tell(self) -> None:
        standing = dict(self.told)
        try:
            epoch, frame = self.watches.read(self.topic)
        except UNKNOWN:
            return  # its time to be kept is over
        except (BrokerUnavailable, *store.AWAY):
            gevent.sleep(RETRY_S)
            self._is_stale = True
            return
        for follower, seen in standing.items():
            # Whoever began meanwhile may have read what is newer than this; for its sake it is read again.
            if seen is not None and self.told.get(follower) is seen:
                self._tell_one(follower, seen, Position(epoch, frame.offset), frame)

    def _tell_one(self, follower: Follower, seen: Position, position: Position, frame: Outgoing) -> None:
        if position == seen:
            return
        self.told[follower] = position
        if position.epoch == seen.epoch and position.offset > seen.offset:
            follower.push(Burst([frame]))
        else:  # the offsets of what follows are not larger than those it knows
            follower.restart(BEGAN_ANEW)


class Watches:
    """Who follows which job or batch in this process."""

    def __init__(self, sources: Mapping[str, Source], listener: Listener):
        self._sources, self._listener = sources, listener
        self._watches: dict[Watched, _Watch] = {}

    def source(self, topic: Watched) -> Source:
        return self._sources[topic.kind]

    def follow(self, follower: Follower, topic: Watched, since: Any, started: Any) -> None:
        """Let a follower hear of a record from now on, beginning with its record if that is newer than ``since``.

        Raises UnknownJob, UnknownBatch, BadPosition, BrokerUnavailable; then nothing is followed.
        """
        seen = Position("", 0) if since is None or since == LAST else position_of(since)
        is_first = topic not in self._watches
        watch = self._watches.setdefault(topic, _Watch(self, topic))
        watch.told[follower] = None  # nothing overtakes the beginning, and nobody who leaves takes the watch along
        try:
            if is_first:
                self._listener.register(self.source(topic).channel(topic.id), watch)
            self._begin(watch, follower, seen, started)
        except BaseException:
            self.leave(follower, topic)
            raise

    def leave(self, follower: Follower, topic: Watched) -> None:
        watch = self._watches.get(topic)
        if watch is None:
            return
        watch.told.pop(follower, None)
        if not watch.told:
            del self._watches[topic]
            self._listener.unregister(self.source(topic).channel(topic.id), watch)

    def read(self, topic: Watched) -> tuple[str, Outgoing]:
        """The record as it is now, and its epoch. Raises UnknownJob, UnknownBatch, BrokerUnavailable."""
        record, revision = self.source(topic).read(topic.id)
        frame = outgoing(other_frame(topic.kind, as_json(record)), topic.told, max(1, revision))
        return f"{topic.kind}:{record['created_at'] or ''}", frame

    def __len__(self) -> int:
        return len(self._watches)

    def _begin(self, watch: _Watch, follower: Follower, seen: Position, started: Any) -> None:
        epoch, frame = self.read(watch.topic)
        if follower not in watch.told:
            return  # it left meanwhile
        is_new = seen.epoch != epoch or seen.offset != frame.offset
        recovered = seen.epoch in ("", epoch) and seen.offset <= frame.offset
        started(Start(Position(epoch, frame.offset - 1 if is_new else frame.offset), recovered))
        if is_new:
            follower.push(Burst([frame]))
        watch.told[follower] = Position(epoch, frame.offset)
        watch.set()  # it may have changed while it was read
