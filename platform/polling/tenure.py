"""Holding a slot: renewed by a thread for as long as the process lives, and known to be lost when it was not."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import redis

from platform.leases.lease import Heart
from platform.polling.errors import LeaseLost
from platform.polling.slots import Slots, Taken, new_holder

log = logging.getLogger(__name__)

RENEWALS_PER_TTL = 4


def now_s() -> float:
    """A clock that nobody sets and that goes on while the machine sleeps, where the system has one."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Tenure:
    """One holding of a slot, from ``take`` to ``end``; once lost it stays lost, whoever has the slot.

    ``fence`` is greater than that of every tenure of this worker before.
    """

    def __init__(self, slots: Slots, holder: str, taken: Taken, taken_at_s: float, progress: Callable[[], Mapping]):
        self.slots, self.holder = slots, holder
        self.number, self.fence = taken.number, taken.fence
        self.is_lost = self.is_told_to_stop = False
        self._held_until_s = taken_at_s + slots.ttl_s
        self._progress = progress
        self._heart = Heart(self._beat, slots.ttl_s / RENEWALS_PER_TTL)
        self._heart.start()

    def check(self) -> None:
        """Raises LeaseLost as far as this process can tell without asking; costs nothing."""
        if self.is_lost or now_s() > self._held_until_s:
            self._lose()
            raise LeaseLost(self.slots.name, self.fence)

    def confirm(self) -> None:
        """Ask the store, and hold for another TTL. Raises LeaseLost; if the store is away, once the TTL is over."""
        self.check()
        try:
            self._renew()
        except redis.RedisError as exc:
            log.warning("the lease of %s could not be renewed: %s", self.slots.name, exc)
        self.check()

    def end(self) -> None:
        """Give the slot back; where the store is away its TTL does."""
        self._heart.stop()
        with suppress(redis.RedisError):
            self.slots.release(self.number, self.holder)

    def _beat(self) -> None:
        if not self.is_lost:
            self._renew()

    def _renew(self) -> None:
        asked_at_s = now_s()  # before the server's clock starts: the lease is over here first
        is_held, self.is_told_to_stop = self.slots.renew(self.number, self.holder, self._progress())
        if is_held:
            self._held_until_s = max(self._held_until_s, asked_at_s + self.slots.ttl_s)
        else:
            self._lose()

    def _lose(self) -> None:
        if not self.is_lost:
            self.is_lost = True
            log.warning("%s lost its lease %s: this process was silent for too long", self.slots.name, self.fence)


def take(slots: Slots, how: str, progress: Callable[[], Mapping[str, Any]]) -> Tenure | str:
    """A tenure, or why there is none now: ``held`` or ``stopped``."""
    holder, asked_at_s = new_holder(), now_s()
    taken = slots.take(holder, how)
    return taken if isinstance(taken, str) else Tenure(slots, holder, taken, asked_at_s, progress)
