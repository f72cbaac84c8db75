"""A worker's lease: its heartbeat, from a thread of its own, and the rescue of what dead workers held."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import redis

from platform.leases import names
from platform.leases.scripts import run

log = logging.getLogger(__name__)

RESCUE_BATCH = 100


class Lease:
    """One incarnation's place among the living. Every method may be called from any thread."""

    def __init__(self, client: redis.Redis, prefix: str, name: str, ttl_s: float):
        self.client, self.prefix, self.name = client, prefix, name
        self.ttl_ms = int(ttl_s * 1000)
        self._beat_at = time.monotonic()
        self._watched_ms = 0
        self._has_joined = False

    def join(self) -> None:
        """Be alive, from now for one TTL."""
        with self.client.pipeline(transaction=True) as pipe:
            pipe.sadd(names.everybody(self.prefix), self.name)
            pipe.set(names.heartbeat(self.prefix, self.name), "1", px=self.ttl_ms)
            pipe.execute()
        self._has_joined = True

    def renew(self) -> bool:
        """Be alive for another TTL; False if others took this worker for dead and gave back what it held."""
        asked_at = time.monotonic()
        is_renewed, self._watched_ms = run(self.client, "renew", args=[self.prefix, self.name, self.ttl_ms])
        self._beat_at = asked_at
        return bool(is_renewed)

    def leave(self) -> None:
        """Stop cleanly: what is still held may be rescued at once."""
        self.client.delete(names.heartbeat(self.prefix, self.name))

    def keep(self) -> None:
        """Renew, or join: the first time, and after a pause longer than the TTL."""
        if self.renew():
            return
        if self._has_joined:
            log.warning("this worker was silent for longer than its lease; what it held was given to others")
        self.join()

    @property
    def was_seen_lately(self) -> bool:
        """Whether the server has answered this worker within the last TTL."""
        return (time.monotonic() - self._beat_at) * 1000 <= self.ttl_ms

    @property
    def may_judge(self) -> bool:
        """Whether a heartbeat that is gone means a dead worker now.

        Not for a TTL after the server was away: the living could not be heard then, and whoever judged would take
        them for dead. The server was there without a gap if heartbeats kept coming, whoever's they were, so a worker
        that has just started may judge. A living worker renews every quarter of a TTL: no lease of one has run out
        within half a TTL of a heartbeat that this worker got through, which is as long as its judgement is good for.
        """
        is_fresh = (time.monotonic() - self._beat_at) * 1000 < self.ttl_ms / 2
        return is_fresh and self._watched_ms > self.ttl_ms


def rescue_all(client: redis.Redis, prefix: str, most_deaths: int) -> int:
    """Give back what every dead incarnation held; returns how many messages moved.

    Any number of workers may do this at once. A message whose workers died ``most_deaths`` times goes to the
    crashed list, for ``platform.deadletters`` to take up.
    """
    moved = 0
    for name in client.smembers(names.everybody(prefix)):
        moved += _rescue(client, prefix, name if isinstance(name, str) else name.decode(), most_deaths)
    return moved


def _rescue(client: redis.Redis, prefix: str, name: str, most_deaths: int) -> int:
    moved, left = 0, 1
    while left > 0:
        back, crashed, left = run(client, "rescue", args=[prefix, name, RESCUE_BATCH, most_deaths])
        moved += back + crashed
        if crashed:
            log.error("%s messages have seen %s workers die and are put aside", crashed, most_deaths)
    if moved:
        log.warning("worker %s is gone; %s messages it held are back in their queues", name, moved)
    return moved


class Heart(threading.Thread):
    """Calls ``beat`` every ``interval_s`` seconds until stopped. A daemon, apart from every other duty: whatever
    keeps those busy must not look like death."""

    def __init__(self, beat: Callable[[], None], interval_s: float):
        super().__init__(name="lease-heart", daemon=True)
        self._beat, self._interval_s = beat, interval_s
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            try:
                self._beat()
            except redis.RedisError as exc:
                # The server is away: nobody else can rescue either, and on its return the lease is joined again.
                log.warning("the lease could not be renewed: %s", exc)
            except Exception as exc:  # a defect, maybe of this beat alone: without any more the lease is lost for sure
                log.exception("the lease could not be renewed: %s", exc)  # noqa: TRY401 - the line says it all

    def stop(self) -> None:
        self._stopping.set()
