"""The hub of a process: who follows what here, and how what is told reaches them, each thing once.

Greenlets: one hears the feed and pushes, one keeps the registry as followers want it. If the feed was lost, or the
process was taken for dead, the streams are read again from where everything was certain, once for all followers.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import gevent

from platform import store
from platform.errors import BrokerUnavailable
from platform.routing.subscriptions import Subscriptions
from platform.settings import Settings
from platform.streams.delivery import Position, Streams
from platform.streams.history import LAST, Histories, position_of
from web.sockets.audience import Audience, Follower, Item, runs_of
from web.sockets.feed import Feed, FeedLost
from web.sockets.membership import Membership
from web.sockets.outgoing import BURST_CHARS, Outgoing, bursts
from web.sockets.parts import Parts
from web.sockets.topics import Device, Start, Streamed

log = logging.getLogger(__name__)

#: Frames of history sent before others get a turn.
PART = 200
#: Entries looked at before others get a turn: some milliseconds, if a filter is tested on each.
TURN = 200
RETRY_S = 0.3
FORGOTTEN = "what was missed is not known any more"


class Reader(Follower, Protocol):
    """A follower whose history waits for its peer to take it, which must not make it too slow."""

    def wait_until_taken(self) -> None: ...


class Missed(NamedTuple):
    """Frames somebody missed, and where they end; ``is_whole`` and ``is_complete`` as in ``Entries``."""

    position: Position
    is_whole: bool
    is_complete: bool
    frames: list[Outgoing]


class Hub:
    """``follow`` and ``leave`` are for followers; ``run`` is called once, in a greenlet of its own."""

    def __init__(self, config: Settings, registry: Subscriptions, kept: Streams):
        self.parts = Parts(Histories(kept))
        self.membership = Membership(registry)
        self.feed = Feed(config, self._clock_us, self._take)
        self._client = kept.client
        # Whoever reads history has room for one more when half of what may wait for it does, whatever the characters.
        self._burst = min(BURST_CHARS, config.socket_queue_bytes // 16)
        self._audiences: dict[str, dict[str, Audience]] = defaultdict(dict)  # group's key: told channel
        self._by_stream: dict[str, set[Audience]] = defaultdict(set)
        self._epochs: dict[str, str] = {}  # of the streams that are followed here
        self._catching_up: set[gevent.Greenlet] = set()
        self._is_closed = False

    # -- for followers

    def follow(self, follower: Reader, topic: Streamed, since: object, started: Callable[[Start], None]) -> None:
        """Let a follower hear a topic from now on; ``started`` is called before anything is pushed.

        With ``since`` (None: from now on) what is kept after that is pushed first; with LAST the last one is. Raises
        BadPosition, BrokerUnavailable; then nothing is followed.
        """
        place = None if since is None or since == LAST else position_of(since)
        audience = self._audience(topic)
        newcomer = audience.enter(follower)
        try:
            self.membership.wait(topic.group)
            if since == LAST:
                now = self.parts.now(topic.stream)
                place = Position(now.epoch, max(0, now.offset - 1))  # before the last entry, be it kept or not
            if place is None:
                upto = self._begin_now(topic, started)
            else:
                upto = self._begin_since(follower, audience, place, started)
            follower.wait_until_taken()  # there is to be room for what is kept for it
            while newcomer.is_behind:  # more was told meanwhile than that may be
                newcomer.begin_again()
                upto = self._read_on(follower, audience, upto)
                follower.wait_until_taken()
        except BaseException:
            self.leave(follower, topic)
            raise
        if follower in audience.newcomers:  # else it left meanwhile
            audience.admit(follower, upto.offset)

    def attach(self, follower: Follower, topic: Device) -> None:
        """Let a follower hear what is sent to its device from about now on."""
        self._audience(topic).add(follower)

    def leave(self, follower: Follower, topic: Streamed | Device) -> None:
        """The follower hears nothing of the topic any more; safe to call twice."""
        key = topic.group.key
        audience = self._audiences.get(key, {}).get(topic.told)
        if audience is None:
            return
        audience.leave(follower)
        if audience.is_empty:
            self._forget(audience, key)

    @property
    def topics(self) -> int:
        """How many different things are followed here."""
        return sum(len(told) for told in self._audiences.values())

    # -- greenlets

    def run(self) -> None:
        """Hear the feed, for ever, whatever becomes of the store."""
        while not self._is_closed:
            try:
                self._open()
                self._hear()
            except (FeedLost, BrokerUnavailable, *store.AWAY) as exc:
                log.warning("the feed of the sockets was lost: %s", exc)
                gevent.sleep(RETRY_S)
            except Exception:  # the edge of the loop: thousands of sockets hang on it
                log.exception("the feed of the sockets failed; it begins again")
                gevent.sleep(RETRY_S)
        self.feed.close()

    def close(self) -> None:
        """The process ends: nobody is to tell it anything any more. Raises BrokerUnavailable."""
        self._is_closed = True
        self.membership.close()

    def _hear(self) -> None:
        """Until the feed is lost or the hub closed; under another name if this one was swept."""
        while not self._is_closed:
            self.parts.forget_old()
            if self.membership.step(self._certain_clock()):
                self.feed.read()
            else:
                log.warning("this process was taken for dead; it goes on under another name")
                self._start_again(self.membership.renew())

    def _open(self) -> None:
        if not self.feed.certain_us:
            # Nobody can have joined yet: nothing that is told to this process was told before now.
            self.feed.certain_us = self.membership.certain_us = self._clock_us()
        self.membership.registry.open(self.membership.process)
        self._start_again(self.membership.process)

    def _start_again(self, process: str) -> None:
        """Hear, join, and read what was told meanwhile; in this order nothing is missed."""
        certain_us = min(self.feed.certain_us, self.membership.certain_us)
        self.feed.open(process)
        self.membership.rejoin()
        # Those that still read after an earlier loss go first; nothing is told by this greenlet meanwhile.
        gevent.joinall(list(self._catching_up))
        for stream, audiences in list(self._by_stream.items()):
            self._spawn_catch_up(stream, list(audiences), certain_us)

    def _certain_clock(self) -> int:
        """The store's clock if it is going to be needed; asking costs a call."""
        return self._clock_us() if self.membership.is_due else 0

    def _clock_us(self) -> int:
        seconds, microseconds = store.insist(self._client.time, 0)
        return int(seconds) * 1_000_000 + int(microseconds)

    # -- what is told

    def _take(self, messages: Iterable[bytes]) -> None:
        for run in runs_of(messages, self._burst):
            if run[0].reread:
                self._reread(run[0])
            else:
                self._tell(run)

    def _tell(self, run: list[Item]) -> None:
        """Items for the same groups: whoever follows one is given all of them at once."""
        frames: dict[str, list[Outgoing]] = {}
        for told, audience in self._audiences_of(run[0]):
            if audience.held is not None:
                audience.held += run
                continue
            if told not in frames:
                frames[told] = [item.told_as(told) for item in run]
            audience.tell(frames[told])

    def _reread(self, item: Item) -> None:
        """They joined after the entry was routed: whether it is for them nobody has looked."""
        behind = []
        for _, audience in self._audiences_of(item):
            if audience.held is not None:
                audience.held.append(item)
            elif item.offset > audience.offset:
                behind.append(audience)
        if behind:
            self._spawn_catch_up(behind[0].topic.stream, behind, item.offset - 1)

    def _audiences_of(self, item: Item) -> list[tuple[str, Audience]]:
        return [found for key in item.groups for found in self._audiences.get(key, {}).items()]

    # -- reading again

    def _spawn_catch_up(self, stream: str, audiences: list[Audience], certain: int) -> None:
        for audience in audiences:
            audience.hold(certain)
        greenlet = gevent.spawn(self._catch_up, stream, audiences)
        self._catching_up.add(greenlet)
        greenlet.link(self._catching_up.discard)

    def _catch_up(self, stream: str, audiences: list[Audience]) -> None:
        """Tell audiences all that their stream was given since everything was certain, then what was held."""
        behind = audiences
        try:
            while behind:
                if stream:
                    self._read_again(stream, behind)
                behind = [audience for audience in behind if not self._let_go(audience)]
        except Exception:  # followers that hear nothing, and do not know it, would be the worst
            log.exception("reading %s again failed; its followers are to come again", stream)
            for audience in audiences:
                audience.restart(FORGOTTEN)
                audience.held = None

    def _read_again(self, stream: str, audiences: list[Audience]) -> None:
        """From where the last of them stands up to what is there now, and past what they were told is to be read.

        Of that the store may have lost some, if it has lost its last second: it would be waited for without end.
        """
        told = {audience: audience.latest_reread for audience in audiences}
        position = Position("", min(max(audience.certain, audience.offset) for audience in audiences))
        is_complete = False
        while not is_complete:
            try:
                position, is_complete = self._catch_up_part(stream, audiences, position)
            except BrokerUnavailable:
                gevent.sleep(RETRY_S)
        for audience in audiences:
            audience.certain = max(audience.certain, position.offset, told[audience])

    def _catch_up_part(self, stream: str, audiences: list[Audience], since: Position) -> tuple[Position, bool]:
        read = self.parts.entries(stream, since)
        is_same = self._is_known(stream, read.position.epoch)
        if not is_same:
            self._epochs[stream] = read.position.epoch
        if not (read.is_whole and is_same):
            for audience in audiences:
                audience.restart(FORGOTTEN)
        for audience in audiences:
            unheard = [audience.frame_of(offset, fields) for offset, fields in read.kept if offset > audience.offset]
            for burst in bursts([frame for frame in unheard if frame is not None], self._burst):
                audience.tell(burst.frames)
            gevent.sleep(0)
        return read.position, read.is_complete

    def _is_known(self, stream: str, epoch: str) -> bool:
        """Whether that is the epoch a stream's followers know; the first one that is read is."""
        if stream not in self._by_stream:
            return True  # all have left while it was read
        return self._epochs.setdefault(stream, epoch) == epoch

    def _let_go(self, audience: Audience) -> bool:
        """Tell what was held, and what is held meanwhile; False if some of it is still to be read."""
        while audience.held:
            held, audience.held = audience.held, []
            for number, item in enumerate(held):
                if not item.reread:
                    audience.tell([item.told_as(audience.topic.told)])
                elif item.offset > audience.certain:  # after a restart all that was on its way is to be read: once
                    audience.held = [*held[number:], *audience.held]
                    return False
        audience.held = None
        return True

    # -- newcomers

    def _begin_now(self, topic: Streamed, started: Callable[[Start], None]) -> Position:
        position = self.parts.now(topic.stream)
        self._is_known(topic.stream, position.epoch)
        started(Start(position, recovered=True))
        return position

    def _begin_since(
        self, follower: Reader, audience: Audience, since: Position, started: Callable[[Start], None]
    ) -> Position:
        missed = self._missed(audience, since)
        self._is_known(audience.topic.stream, missed.position.epoch)
        # All frames that follow are behind this place; without any it is the latest one that is known.
        stands = since.offset if missed.frames else missed.position.offset
        started(Start(Position(missed.position.epoch, stands), missed.is_whole))
        return self._push_all(follower, audience, missed)

    def _read_on(self, follower: Reader, audience: Audience, since: Position) -> Position:
        missed = self._missed(audience, since)
        if not missed.is_whole:
            follower.restart(FORGOTTEN)
        return self._push_all(follower, audience, missed)

    def _push_all(self, follower: Reader, audience: Audience, missed: Missed) -> Position:
        while True:
            for burst in bursts(missed.frames, self._burst):
                follower.wait_until_taken()
                follower.push(burst)
            if missed.is_complete:
                return missed.position
            gevent.sleep(0)
            missed = self._missed(audience, missed.position)
            if not missed.is_whole:
                follower.restart(FORGOTTEN)

    def _missed(self, audience: Audience, since: Position) -> Missed:
        read, frames = self.parts.entries(audience.topic.stream, since), list[Outgoing]()
        is_whole = read.is_whole and since.offset <= read.position.offset  # else the store lost what was seen
        for number, (offset, fields) in enumerate(read.kept, 1):
            if (frame := audience.frame_of(offset, fields)) is not None:
                frames.append(frame)
            if number % TURN == 0:
                gevent.sleep(0)
            if len(frames) == PART:
                is_complete = read.is_complete and number == len(read.kept)
                return Missed(Position(read.position.epoch, offset), is_whole, is_complete, frames)
        return Missed(read.position, is_whole, read.is_complete, frames)

    def _audience(self, topic: Streamed | Device) -> Audience:
        group = topic.group
        told = self._audiences[group.key]
        if topic.told not in told:
            told[topic.told] = audience = Audience(topic)
            self._by_stream[topic.stream].add(audience)
            self.membership.want(group)
        return told[topic.told]

    def _forget(self, audience: Audience, key: str) -> None:
        topic = audience.topic
        told = self._audiences[key]
        told.pop(topic.told, None)
        self._by_stream[topic.stream].discard(audience)
        if not self._by_stream[topic.stream]:
            del self._by_stream[topic.stream]
            self._epochs.pop(topic.stream, None)
        if not told:
            del self._audiences[key]
            self.membership.release(topic.group)
