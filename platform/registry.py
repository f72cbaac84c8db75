"""Which workers there are: each writes a line about itself that vanishes when it stops writing."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

import msgspec

from platform import store

TTL_S = 15


class Beacon:
    """One worker's line, renewed by its duties every ``INTERVAL_S`` seconds."""

    INTERVAL_S = 5.0

    def __init__(self, worker: Any):
        self.key = f"{store.key_prefix()}worker:{worker.hostname}"
        self._facts = {
            "name": worker.hostname,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "queues": sorted(worker.app.amqp.queues.consume_from),
            "concurrency": getattr(getattr(worker.controller, "pool", None), "num_processes", None)
            or getattr(worker.controller, "concurrency", None),
            "since": time.time(),
        }

    def beat(self) -> None:
        line = msgspec.json.encode(self._facts | {"seen": time.time()})
        store.client().set(self.key, line, ex=TTL_S)


def workers() -> list[dict[str, Any]]:
    """Every worker seen in the last 15 seconds, by name: ``name host pid queues concurrency since seen``."""
    client = store.client()
    keys = sorted(client.scan_iter(match=_literal(f"{store.key_prefix()}worker:") + "*", count=1000))
    lines = client.mget(keys) if keys else []
    return [msgspec.json.decode(line) for line in lines if line]


def _literal(text: str) -> str:
    """The text with the characters that SCAN's patterns give a meaning escaped."""
    return "".join(f"\\{c}" if c in "*?[]\\" else c for c in text)
