"""Jobs that are followed here: their last value. Read again when their record changes, told once for each newer one."""

from __future__ import annotations

import logging
from typing import Any

import gevent

from platform import store
from platform.errors import BrokerUnavailable, UnknownJob
from platform.jobs.ledger import Ledger
from platform.streams.delivery import Position
from platform.streams.event import as_json, other_frame
from platform.streams.history import position_of
from web.sockets.audience import Follower
from web.sockets.outgoing import Outgoing, outgoing
from web.sockets.topics import JobTopic, Start
from web.waiting import Listener

log = logging.getLogger(__name__)

#: Of every job: its revisions only grow while the record lives, and no id is used twice.
EPOCH = "job"
RETRY_S = 0.5


class _Watch:
    """One job, its followers here, and the revision each has been told; None while its beginning is read."""

    def __init__(self, watches: Watches, topic: JobTopic):
        self.watches, self.topic = watches, topic
        self.told: dict[Follower, int | None] = {}
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
        finally:
            self._is_reading = False

    def _tell(self) -> None:
        try:
            frame = self.watches.frame(self.topic)
        except UnknownJob:
            return  # its time to be kept is over
        except (BrokerUnavailable, *store.AWAY):
            gevent.sleep(RETRY_S)
            self._is_stale = True
            return
        for follower, revision in list(self.told.items()):
            if revision not in (None, frame.offset):  # smaller, too: a record made anew begins at 1
                self.told[follower] = frame.offset
                follower.push(frame)


class Watches:
    """Who follows which job in this process."""

    def __init__(self, ledger: Ledger, listener: Listener):
        self._ledger, self._listener = ledger, listener
        self._watches: dict[str, _Watch] = {}

    def follow(self, follower: Follower, topic: JobTopic, since: Any, started: Any) -> None:
        """Let a follower hear of a job from now on, beginning with its record if that is newer than ``since``.

        Raises UnknownJob, BadPosition, BrokerUnavailable; then nothing is followed.
        """
        seen = position_of(since) if since is not None else Position("", 0)
        watch = self._watches.get(topic.job_id)
        if watch is None:
            watch = self._watches[topic.job_id] = _Watch(self, topic)
            self._listener.register(self._ledger.channel(topic.job_id), watch)
        watch.told[follower] = None  # nothing overtakes the beginning
        try:
            self._begin(watch, follower, seen, started)
        except BaseException:
            self.leave(follower, topic)
            raise

    def leave(self, follower: Follower, topic: JobTopic) -> None:
        watch = self._watches.get(topic.job_id)
        if watch is None:
            return
        watch.told.pop(follower, None)
        if not watch.told:
            del self._watches[topic.job_id]
            self._listener.unregister(self._ledger.channel(topic.job_id), watch)

    def frame(self, topic: JobTopic) -> Outgoing:
        """The job as it is now. Raises UnknownJob, BrokerUnavailable."""
        job, revision = self._ledger.get_with_revision(topic.job_id)
        return outgoing(other_frame("job", as_json(job.as_dict())), topic.told, max(1, revision))

    def __len__(self) -> int:
        return len(self._watches)

    def _begin(self, watch: _Watch, follower: Follower, seen: Position, started: Any) -> None:
        frame = self.frame(watch.topic)
        if follower not in watch.told:
            return  # it left meanwhile
        is_new = seen.epoch != EPOCH or seen.offset != frame.offset
        started(Start(Position(EPOCH, frame.offset - 1 if is_new else frame.offset), seen.offset <= frame.offset))
        if is_new:
            follower.push(frame)
        watch.told[follower] = frame.offset
        watch.set()  # it may have changed while it was read
