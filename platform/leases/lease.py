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
        self._seen_since = time.monotonic()
        self._seen_at = self._seen_since

    def join(self) -> None:
        """Be alive, from now for one TTL."""
        with self.client.pipeline(transaction=True) as pipe:
            pipe.sadd(names.everybody(self.prefix), self.name)
            pipe.set(names.heartbeat(self.prefix, self.name), "1", px=self.ttl_ms)
            pipe.execute()

    def renew(self) -> bool:
        """Be alive for another TTL; False if others took this worker for dead and gave back what it held."""
        return bool(run(self.client, "renew", args=[self.prefix, self.name, self.ttl_ms]))

    def leave(self) -> None:
        """Stop cleanly: what is still held may be rescued at once."""
        self.client.delete(names.heartbeat(self.prefix, self.name))

    def keep(self) -> None:
        """Renew, or join again after a pause longer than the TTL."""
        now = time.monotonic()
        if (now - self._seen_at) * 1000 > self.ttl_ms:
            self._seen_since = now
        if not self.renew():
            log.warning("this worker was silent for longer than its lease; what it held was given to others")
            self.join()
            self._seen_since = now
        self._seen_at = now

    @property
    def may_judge(self) -> bool:
        """Whether this worker has itself been seen by the server for a whole TTL.

        After an outage of the server every heartbeat is gone at first; whoever judged then would take the living
        for dead.
        """
        return (time.monotonic() - self._seen_since) * 1000 > self.ttl_ms


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

    def stop(self) -> None:
        self._stopping.set()
