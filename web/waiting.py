"""Waiting for a job: one subscription connection per process, however many requests wait.

A job's channel carries its new state after every transition; the record is read when it comes, so a message
lost or doubled costs nothing but a read.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from functools import cache

import redis

from platform import endpoints, store
from platform.jobs.ledger import ledger
from platform.jobs.record import Job
from platform.jobs.states import State
from platform.settings import settings

log = logging.getLogger(__name__)

MAX_WAIT_S = 30.0
# A state change whose message was lost in a reconnect is noticed after this long, in seconds.
REREAD_S = 2.0
# How long the dead letter of a job that has just failed is waited for; one whose message was never sent has none.
LETTER_S = 3.0


class Listener:
    """Wakes whoever waits on a channel; a thread (under gevent: a greenlet) reads, all others only wait."""

    def __init__(self) -> None:
        config = settings()
        self._client = store.connect(endpoints.redis_url(config), config, timeout_s=None)
        self._pubsub = self._client.pubsub(ignore_subscribe_messages=True)
        # Nobody publishes there; with it the reader always has something to block on.
        self._pubsub.subscribe(f"{ledger().prefix}listeners")
        self._waiting: dict[str, set[threading.Event]] = defaultdict(set)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def register(self, channel: str, event: threading.Event) -> None:
        with self._lock:
            is_new = not self._waiting[channel]
            self._waiting[channel].add(event)
            if is_new:
                self._pubsub.subscribe(channel)
            if self._thread is None:
                self._thread = threading.Thread(target=self._read, name="job-listener", daemon=True)
                self._thread.start()

    def unregister(self, channel: str, event: threading.Event) -> None:
        with self._lock:
            self._waiting[channel].discard(event)
            if not self._waiting[channel]:
                del self._waiting[channel]
                try:
                    self._pubsub.unsubscribe(channel)
                except redis.RedisError:
                    log.debug("unsubscribing %s failed; the reader reconnects", channel)

    def _read(self) -> None:
        while True:
            try:
                message = self._pubsub.get_message(timeout=1.0)
            except (redis.RedisError, OSError):
                # redis-py subscribes again on reconnect; what was missed meanwhile the waiters read themselves.
                time.sleep(0.5)
                continue
            if message:
                with self._lock:
                    for event in self._waiting.get(message["channel"], ()):
                        event.set()


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


def _with_its_letter(job: Job, deadline: float) -> Job:
    """A job that has just failed, once its dead letter is written: its worker does that a moment later."""
    deadline = min(deadline, time.monotonic() + LETTER_S)
    while job.state == State.FAILED and job.dead_letter_id is None and time.monotonic() < deadline:
        time.sleep(0.02)
        job = ledger().get(job.job_id)
    return job
