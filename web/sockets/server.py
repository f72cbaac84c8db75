"""The sockets of this process: who is connected, who is let in, who is sent away."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import gevent

from platform import serialization
from platform.accounts import revocations
from platform.batches.register import batches
from platform.errors import BrokerUnavailable
from platform.jobs.ledger import ledger
from platform.routing.direct import device_channel
from platform.routing.subscriptions import subscriptions
from platform.settings import Settings, settings
from platform.streams.delivery import streams
from web.identity import Caller
from web.sockets import metrics
from web.sockets.connection import Connection, Limits
from web.sockets.hub import Hub, Reader
from web.sockets.pace import Pace
from web.sockets.protocol.closing import CloseCode
from web.sockets.session import Session
from web.sockets.topics import BatchTopic, Device, JobTopic, Start, Topic
from web.sockets.watches import Batches, Jobs, Watches
from web.waiting import listener

log = logging.getLogger(__name__)

CHECK_S = 1.0
REVOCATIONS_S = 2.0
#: Who is let in may have been looked up before it was revoked: for so long that is remembered (``RecentAnswers``).
REMEMBERED_S = 10.0
#: Sessions looked at before others get a turn.
TURN = 500
#: Sockets closed in a second at most when the process stops, as far as its time allows.
CLOSES_PER_S = 250
RETRY_AFTER_MS = (100, 2_000)


class Refusal(Exception):
    """No socket is let in now; ``retry_after_s`` is when it may be tried again."""

    def __init__(self, why: str, retry_after_s: float):
        super().__init__(why, retry_after_s)
        self.why, self.retry_after_s = why, retry_after_s


class Server:
    """One in a process. Its greenlets live as long as the process."""

    def __init__(self, config: Settings):
        self.config = config
        self.limits = Limits(
            config.socket_message_bytes, config.socket_queue_bytes, config.socket_write_s, config.socket_ping_s
        )
        self.hub = Hub(config, subscriptions(), streams())
        self.watches = Watches({"job": Jobs(ledger()), "batch": Batches(batches())}, listener())
        self.sessions: set[Session] = set()
        #: Readers of server-sent events, who count as sockets do, and of whom there may be fewer.
        self.readers: set[Any] = set()
        #: Of data, given to sessions and readers since that was counted last.
        self.frames = 0
        self._pace = Pace(config.socket_connects_per_s, max(1.0, config.socket_connects_per_s))
        self._by_credential: dict[str, set[Any]] = defaultdict(set)
        #: What was revoked lately: when, in ms by the store's clock, and when that was heard here.
        self._revoked: dict[str, tuple[int, float]] = {}
        self._is_draining = False
        self._drained = threading.Event()

    def start(self) -> None:
        for duty in (self.hub.run, self.hub.membership.run, self._check, self._follow_revocations):
            gevent.spawn(_for_ever, duty)

    # -- coming and going

    def let_in(self, as_reader: bool = False) -> None:
        """One more wants to connect, or, as a reader, server-sent events. Raises Refusal."""
        if self._is_draining:
            self._refuse("this process is stopping; connect again", 1.0)
        if as_reader and len(self.readers) >= self.config.event_readers:  # or no request would find a place
            self._refuse("this process has as many readers of events as it may", 5.0)
        if len(self.sessions) + len(self.readers) >= self.config.socket_connections:
            self._refuse("this process holds as many sockets as it may", 5.0)
        if not self._pace.take():
            self._refuse("too many sockets connect at this moment", 1.0 + self._pace.wait_s() + random.uniform(0, 4))  # noqa: S311 - apart, that is all

    def open(self, sock: Any, caller: Caller | None, read_ahead: bytes) -> Session:
        """A socket whose handshake was answered: its conversation begins."""
        connection = Connection(sock, self.limits)
        session = Session(self, connection)
        self.sessions.add(session)
        metrics.OPENED.inc()
        connection.begin(session)
        if caller is not None:
            session.welcome(caller)
        if read_ahead:
            connection.feed(read_ahead)
        return session

    def admit(self, session: Session) -> None:
        """A session has said who it is."""
        self.recognise(session, session.known_caller)
        caller = session.known_caller
        if caller.device_id:
            told = device_channel(caller.app_id, caller.account_id, caller.device_id)
            session.device = Device(told)
            self.hub.attach(session, session.device)

    def recognise(self, session: Any, caller: Caller) -> None:
        """Whose credential it is from now on."""
        self.forget_credential(session)
        session.caller = caller
        for member in caller.revocable_as:
            self._by_credential[member].add(session)
            if (heard := self._revoked.get(member)) is not None:
                _revoke(session, member, heard[0])

    def forget_credential(self, session: Any) -> None:
        for member in session.caller.revocable_as if session.caller else ():
            self._by_credential[member].discard(session)
            if not self._by_credential[member]:
                del self._by_credential[member]

    def forget(self, session: Session, code: int | None) -> None:
        """A session is over."""
        self.sessions.discard(session)
        metrics.CLOSED.labels("lost" if code is None else str(code)).inc()
        self.forget_credential(session)

    # -- following

    def follow(self, follower: Reader, topic: Topic, since: Any, started: Callable[[Start], None]) -> None:
        """Raises BadPosition, UnknownJob, UnknownBatch, BrokerUnavailable; then nothing is followed."""
        if isinstance(topic, JobTopic | BatchTopic):
            self.watches.follow(follower, topic, since, started)
        elif not isinstance(topic, Device):
            self.hub.follow(follower, topic, since, started)

    def leave(self, follower: Reader, topic: Topic) -> None:
        if isinstance(topic, JobTopic | BatchTopic):
            self.watches.leave(follower, topic)
        else:
            self.hub.leave(follower, topic)

    # -- the end

    def come_back(self) -> str:
        """The reason of a close frame 1012: when to connect again, another time for each."""
        retry_after_ms = random.randint(*RETRY_AFTER_MS)  # noqa: S311 - apart, that is all
        return serialization.encode({"retry_after_ms": retry_after_ms}).decode()

    def drain(self) -> None:
        """Let nobody in any more, and close all sockets, spread over some seconds; returns when they are gone."""
        if self._is_draining:
            self._drained.wait()
            return
        self._is_draining = True
        for reader in list(self.readers):
            reader.restart("this process is stopping")
        leaving = list(self.sessions)
        random.shuffle(leaving)
        pause_s = min(1 / CLOSES_PER_S, self.config.socket_drain_s / len(leaving)) if leaving else 0.0
        began = time.monotonic()
        for number, session in enumerate(leaving, 1):
            session.connection.close(CloseCode.RESTART, self.come_back())
            gevent.sleep(max(0.0, began + number * pause_s - time.monotonic()))
        until = time.monotonic() + 2.0
        while self.sessions and time.monotonic() < until:
            gevent.sleep(0.05)
        try:
            self.hub.close()
        except BrokerUnavailable:
            log.debug("the registry was not told; it finds out by itself")
        self._measure()
        self._drained.set()

    @property
    def is_draining(self) -> bool:
        return self._is_draining

    # -- greenlets

    def _check(self) -> None:
        while True:
            gevent.sleep(CHECK_S)
            now, wall = time.monotonic(), time.time()
            for number, session in enumerate(list(self.sessions), 1):
                session.check(now, wall)
                if number % TURN == 0:
                    gevent.sleep(0)
            for reader in list(self.readers):
                reader.check(now)
            self._measure()

    def _measure(self) -> None:
        metrics.FRAMES.inc(self.frames)
        self.frames = 0
        metrics.OPEN.set(len(self.sessions))
        metrics.READERS.set(len(self.readers))
        metrics.FOLLOWED.set(self.hub.topics + len(self.watches))
        metrics.WAITING.set(sum(session.connection.waiting_bytes for session in self.sessions))

    def _follow_revocations(self) -> None:
        since_ms = 0
        while True:
            try:
                before_ms, (since_ms, revoked) = since_ms, revocations.since(since_ms)
            except BrokerUnavailable as exc:
                log.warning("what was revoked cannot be read: %s", exc)
            else:
                self._hear_revoked(revoked)
                if len(revoked) >= revocations.MOST_AT_ONCE and since_ms > before_ms:
                    gevent.sleep(0)
                    continue  # there is more, and nobody's is to wait behind another's
            gevent.sleep(REVOCATIONS_S)

    def _hear_revoked(self, revoked: Mapping[str, int]) -> None:
        now = time.monotonic()
        self._revoked = {m: heard for m, heard in self._revoked.items() if heard[1] > now - REMEMBERED_S}
        for member, at_ms in revoked.items():
            self._revoked[member] = at_ms, now
            for session in list(self._by_credential.get(member, ())):
                _revoke(session, member, at_ms)

    def _refuse(self, why: str, retry_after_s: float) -> None:
        metrics.REFUSED.inc()
        raise Refusal(why, retry_after_s)


def _revoke(session: Any, member: str, at_ms: int) -> None:
    """Unless it is a device's that came with a newer token."""
    if not member.startswith("device:") or at_ms > session.caller.device_revoked_at:
        session.revoke()


def _for_ever(duty: Callable[[], None]) -> None:
    """A duty that ended by an error begins again: thousands of sockets hang on it."""
    while True:
        try:
            return duty()
        except Exception:  # the edge of the greenlet
            log.exception("a duty of the sockets failed; it begins again")
        gevent.sleep(CHECK_S)


_making = threading.Lock()


def server() -> Server:
    """This process's sockets; the first call starts their greenlets."""
    if is_running():
        return _server()
    with _making:  # making it asks the store, and of several who connect first each would make one
        return _server()


@cache
def _server() -> Server:
    made = Server(settings())
    made.start()
    return made


def drain() -> None:
    """Send this process's sockets away, if it has any."""
    if is_running():
        _server().drain()


def is_running() -> bool:
    """Whether this process has sockets, or had."""
    return bool(_server.cache_info().currsize)
