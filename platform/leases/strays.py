"""What is recorded as this worker's and is not: given back, for nobody rescues what a living worker holds.

A server that crashed and started again may bring back what was acknowledged in its last second (append-only, synced
every second), and a worker whose connection broke may have dropped what its record still holds. Either way the entry
would stay for as long as the worker lives, and its job with it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from typing import Any, cast

from platform.leases import names
from platform.leases.lease import Lease
from platform.leases.scripts import run

log = logging.getLogger(__name__)


class Strays:
    """``own`` tells the tags this worker works on or has yet to end, or None if that cannot be told just now."""

    def __init__(self, lease: Lease, own: Callable[[], Collection[str] | None]):
        self._lease, self._own = lease, own
        self._since: dict[str, float] = {}

    def give_back(self) -> int:
        """Give back what has been foreign each time this was asked, for a whole lease; returns how much.

        For a heartbeat: one round trip. That long, because what was just taken is recorded before it is known here.
        Should the worker know it after all, the start of its job is refused.
        """
        held = cast(Any, self._lease.client.hkeys(self._key))
        own = self._own()  # after the question: whatever it began meanwhile is no answer to it
        if own is None:
            return 0
        foreign = {_text(tag) for tag in held} - set(own)
        now = time.monotonic()
        self._since = {tag: self._since.get(tag, now) for tag in foreign}
        late = [tag for tag, since in self._since.items() if (now - since) * 1000 >= self._lease.ttl_ms]
        return sum(self._give_back(tag) for tag in late)

    def _give_back(self, tag: str) -> bool:
        log.warning("delivery %s is recorded as this worker's, who knows nothing of it; it is given back", tag)
        return bool(run(self._lease.client, "give_back", args=[self._lease.prefix, self._key, tag, 1]))

    @property
    def _key(self) -> str:
        return names.held(self._lease.prefix, self._lease.name)


def _text(tag: bytes | str) -> str:
    return tag.decode() if isinstance(tag, bytes) else tag
