"""Ending deliveries: now, or as soon as the server is back.

Apart from any kombu channel on purpose: a job may end after its channel was closed by a lost connection.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import redis

from platform.leases.scripts import run

log = logging.getLogger(__name__)


class Holdings:
    """What this worker is through with. Safe from any thread; nothing here raises when the server is away."""

    def __init__(self, client: redis.Redis):
        self._client = client
        self._later: dict[str, tuple[str, list[Any]]] = {}

    def end(self, tag: str, script: str, arguments: list[Any]) -> bool:
        """Run a script that ends the delivery; keep it for later if the server does not answer."""
        try:
            return bool(run(self._client, script, args=arguments))
        except redis.RedisError as exc:
            log.warning("delivery %s ended while the broker was away, it is told later: %s", tag, exc)
            self._later[tag] = (script, arguments)
            return True

    def release(self, held: str, tags: Sequence[str]) -> None:
        """Deliveries recorded in one hash are over, all told in one round trip, or each later."""
        try:
            run(self._client, "release", args=[held, *tags])
        except redis.RedisError as exc:
            log.warning("%s deliveries ended while the broker was away, it is told later: %s", len(tags), exc)
            self._later |= {tag: ("release", [held, tag]) for tag in tags}

    def ended(self) -> set[str]:
        """The tags of what has ended and could not be told."""
        return set(self._later)

    def settle(self) -> None:
        """Tell what could not be told; called by the heartbeat once the server answers again."""
        for tag, (script, arguments) in list(self._later.items()):
            run(self._client, script, args=arguments)
            self._later.pop(tag, None)
