"""Which workers there are: each writes a line about itself that vanishes when it stops writing.

``workers`` has their names, so that nobody has to look through a million jobs' records for a handful of lines.
"""

from __future__ import annotations

import os
import socket
import time
from importlib.metadata import version
from typing import Any, cast

import msgspec
import redis

from platform import store
from platform.leases.scripts import Script, run
from platform.queueing.consumption import withheld
from platform.settings import Settings, settings

TTL_S = 15

# Who has no line any more is struck off by the next one who writes. KEYS: names, line. ARGV: name, text, TTL, prefix.
BEAT = Script("""
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
redis.call('SADD', KEYS[1], ARGV[1])
for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if redis.call('EXISTS', ARGV[4] .. 'worker:' .. name) == 0 then redis.call('SREM', KEYS[1], name) end
end
return 1
""")


class Beacon:
    """One worker's line, renewed by its duties every ``INTERVAL_S`` seconds."""

    INTERVAL_S = 5.0

    def __init__(self, worker: Any):
        self.key = _key(settings(), worker.hostname)
        self._queues = worker.app.amqp.queues
        self._facts = {
            "name": worker.hostname,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "concurrency": getattr(getattr(worker.controller, "pool", None), "num_processes", None)
            or getattr(worker.controller, "concurrency", None),
            "since": time.time(),
            "release": version("celery-platform"),
            "celery": version("celery"),
        }

    def beat(self) -> None:
        line = msgspec.json.encode(self._facts | {"queues": self.queues(), "seen": time.time()})
        prefix = store.key_prefix(settings())
        run(store.client(), BEAT, keys=[f"{prefix}workers", self.key], args=[self._facts["name"], line, TTL_S, prefix])

    def queues(self) -> list[str]:
        """Asked each time: remote control may add and cancel queues. A paused one is still served, after all."""
        return sorted({*self._queues.consume_from, *withheld()})


def workers() -> list[dict[str, Any]]:
    """Every worker seen in the last 15 seconds, by name.

    Each has ``name host pid queues concurrency since seen release celery``.
    """
    return workers_in(store.client(), settings())


def workers_in(client: redis.Redis, config: Settings) -> list[dict[str, Any]]:
    """``workers()`` of a store at hand."""
    names = cast(set[Any], client.smembers(f"{store.key_prefix(config)}workers"))
    keys = sorted(_key(config, name if isinstance(name, str) else name.decode()) for name in names)
    lines = cast(list[Any], client.mget(keys)) if keys else []
    return [msgspec.json.decode(line) for line in lines if line]


def ahead_s(client: redis.Redis, config: Settings, worker: dict[str, Any]) -> float:
    """How far a worker's clock is ahead of the store's, in seconds; it wrote its line when the line's TTL began."""
    with client.pipeline(transaction=True) as pipe:
        pipe.get(_key(config, worker["name"]))
        pipe.pttl(_key(config, worker["name"]))
        pipe.time()
        line, left_ms, (seconds, microseconds) = pipe.execute()
    if line is None:
        return 0.0
    written_at = seconds + microseconds / 1e6 - (TTL_S - left_ms / 1000)
    return float(msgspec.json.decode(line)["seen"] - written_at)


def _key(config: Settings, name: str) -> str:
    return f"{store.key_prefix(config)}worker:{name}"
