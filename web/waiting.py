"""Waiting for a job or a batch: one subscription connection per process, however many requests and sockets wait.

A job's channel carries its new state after every transition; the record is read when it comes, so a message
doubled costs nothing but a read.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Protocol

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from platform import endpoints, store
from platform.batches.record import Batch
from platform.batches.register import batches
from platform.jobs.ledger import ledger
from platform.jobs.record import Job
from platform.jobs.states import State
from platform.settings import settings

log = logging.getLogger(__name__)

MAX_WAIT_S = 30.0
# A state change whose message was lost in a reconnect is noticed after this long, in seconds.
REREAD_S = 2.0
RECONNECT_S = 0.5
# How long the dead letter of a job that has just failed is waited for; one whose message was never sent has none.
LETTER_S = 3.0


class Waker(Protocol):
    """Whatever is to be told that something was said on a channel: a ``threading.Event``, or anything with its ``set``.

    ``set`` is called by the one reader of all channels, outside its lock: it must not block, and may register and
    unregister. It may be called without need, and once more after its ``unregister`` has returned.
    """

    def set(self) -> None: ...


class Listener:
    """Wakes whoever waits on a channel; a thread (under gevent: a greenlet) reads, all others only wait.

    Everybody on a channel is woken also when its subscription has begun: soon after the first ``register``, and after a
    lost connection was replaced. Whoever reads the record then, and at every call after that, misses no change.
    """

    def __init__(self) -> None:
        config = settings()
        self._client = store.connect(endpoints.redis_url(config), config, timeout_s=None)
        # Only the reader makes connections. If whoever registers did too, the one's channel could be asked for on a
        # connection that the other is just throwing away.
        self._client.set_retry(Retry(NoBackoff(), 0, supported_errors=()))
        self._pubsub = self._client.pubsub()
        self._is_lost = True
        self._is_stopped = False
        self._waiting: dict[str, set[Waker]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def register(self, channel: str, waker: Waker) -> None:
        """Have it woken from now on; while the store is away, from when it is back."""
        with self._lock:
            is_new = channel not in self._waiting
            self._waiting.setdefault(channel, set()).add(waker)
            if is_new:
                self._tell(self._pubsub.subscribe, channel)
            if self._thread is None:
                self._thread = threading.Thread(target=self._read, name="job-listener", daemon=True)
                self._thread.start()

    def unregister(self, channel: str, waker: Waker) -> None:
        """The opposite; of one that is not registered nothing happens."""
        with self._lock:
            waiting = self._waiting.get(channel, set())
            waiting.discard(waker)
            if channel in self._waiting and not waiting:
                del self._waiting[channel]
                self._tell(self._pubsub.unsubscribe, channel)

    def stop(self) -> None:
        """Wake nobody any more; the reader ends within a second. Otherwise it ends with its process."""
        self._is_stopped = True

    def _tell(self, command: Callable[[str], None], channel: str) -> None:
        """A connection that is lost, or turns out to be, is the reader's affair: it asks for all channels anew."""
        if self._is_lost:
            return
        try:
            command(channel)
        except (redis.RedisError, OSError):
            self._is_lost = True

    def _read(self) -> None:
        while not self._is_stopped:
            try:
                if self._is_lost:
                    self._connect()
                message = self._pubsub.get_message(timeout=1.0)
            except Exception:
                # Whatever it was, a new connection begins anew; without a reader everybody would wait for ever.
                log.debug("the listener makes another connection", exc_info=True)
                self._is_lost = True
                time.sleep(RECONNECT_S)
                continue
            if message and message["type"] in ("message", "subscribe"):
                self._wake(message["channel"])
        self._pubsub.close()

    def _connect(self) -> None:
        """A connection to a server that is frozen takes for ever; nobody who registers shall wait for that."""
        fresh = self._client.pubsub()
        # Nobody publishes there; with it the reader always has something to block on.
        fresh.subscribe(f"{ledger().prefix}listeners")
        with self._lock:
            self._pubsub.close()
            self._pubsub = fresh
            if self._waiting:
                fresh.subscribe(*self._waiting)
            self._is_lost = False

    def _wake(self, channel: str) -> None:
        with self._lock:
            waiting = list(self._waiting.get(channel, ()))
        for waker in waiting:
            try:
                waker.set()
            except Exception:
                log.exception("%r could not be woken; the others are", waker)  # or nobody would be, ever again


@cache
def listener() -> Listener:
    return Listener()


def wait_for(job_id: str, seconds: float) -> Job:
    """The job once it has ended, or as it is after ``seconds``. Raises UnknownJob."""
    job = ledger().get(job_id)
    if job.is_final or seconds <= 0:
        return job
    deadline = time.monotonic() + min(seconds, MAX_WAIT_S)
    channel, event = ledger().channel(job_id), threading.Event()
    listener().register(channel, event)
    try:
        while not (job := ledger().get(job_id)).is_final and (left := deadline - time.monotonic()) > 0:
            event.wait(min(left, REREAD_S))
            event.clear()
        return _with_its_letter(job, deadline)
    finally:
        listener().unregister(channel, event)


def wait_for_batch(batch_id: str, seconds: float) -> Batch:
    """The batch once it has ended, or as it is after ``seconds``. Raises UnknownBatch."""
    batch = batches().get(batch_id)
    if batch.is_final or seconds <= 0:
        return batch
    deadline = time.monotonic() + min(seconds, MAX_WAIT_S)
    channel, event = batches().channel(batch_id), threading.Event()
    listener().register(channel, event)
    try:
        while not (batch := batches().get(batch_id)).is_final and (left := deadline - time.monotonic()) > 0:
            event.wait(min(left, REREAD_S))
            event.clear()
        return batch
    finally:
        listener().unregister(channel, event)


def _with_its_letter(job: Job, deadline: float) -> Job:
    """A job that has just failed, once its dead letter is written: its worker does that a moment later."""
    deadline = min(deadline, time.monotonic() + LETTER_S)
    while job.state == State.FAILED and job.dead_letter_id is None and time.monotonic() < deadline:
        time.sleep(0.02)
        job = ledger().get(job.job_id)
    return job
