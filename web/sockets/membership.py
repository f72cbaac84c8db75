"""This process in the registry: which groups have members here, said in batches, and that it still lives."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time

from gevent.event import AsyncResult, Event
from gevent.lock import RLock

from platform.errors import BrokerUnavailable
from platform.routing.subscriptions import BEAT_S, Group, Subscriptions

log = logging.getLogger(__name__)

#: How long a group without members is kept for the next one, in seconds: reconnects come in waves.
LINGER_S = 2.0
RETRY_S = 0.5
#: How long somebody who wants to follow waits for the registry, in seconds.
PATIENCE_S = 5.0


class Membership:
    """Wanted groups and joined ones; ``run`` makes these the same. Everything else returns at once, or waits for it."""

    def __init__(self, registry: Subscriptions):
        self.registry = registry
        self.process = _name()
        #: By this time, in microseconds of the store's clock, all that concerned the joined groups was sent here.
        self.certain_us = 0
        self._wanted: dict[str, Group] = {}
        self._joined: set[str] = set()
        self._unwanted: dict[str, float] = {}
        #: Not wanted any more, and the registry may not know it yet.
        self._leaving: dict[str, Group] = {}
        self._joining: dict[str, AsyncResult] = {}
        self._changed = Event()
        #: One round after the other: a leave that is late must not undo a later join.
        self._telling = RLock()
        self._beat_at = 0.0

    def want(self, group: Group) -> None:
        """Somebody follows the group."""
        key = group.key
        self._unwanted.pop(key, None)
        self._leaving.pop(key, None)
        if key not in self._wanted:
            self._wanted[key] = group
            self._joining[key] = AsyncResult()
            self._changed.set()

    def wait(self, group: Group) -> None:
        """Return once all that happens to a wanted group is told here. Raises BrokerUnavailable."""
        joining = self._joining.get(group.key)
        if joining is None:
            return
        if not joining.wait(timeout=PATIENCE_S):
            raise BrokerUnavailable("the registry of subscriptions did not answer; try again shortly")

    def release(self, group: Group) -> None:
        """Nobody follows the group any more."""
        self._unwanted[group.key] = time.monotonic()

    def rejoin(self) -> None:
        """Join all groups again, after the store was away: it may have forgotten some. Raises BrokerUnavailable."""
        with self._telling:
            self._join(list(self._wanted.values()))

    def renew(self) -> str:
        """Take another name, after this one was swept; returns it. Join again then. Raises BrokerUnavailable."""
        self.process = _name()
        self._joined.clear()
        self._leaving.clear()  # the other name has left them all
        self.registry.open(self.process)
        return self.process

    @property
    def is_due(self) -> bool:
        """Whether a sign of life is."""
        return time.monotonic() >= self._beat_at

    def step(self, now_us: int) -> bool:
        """Say that the process lives, when that is due; False if it was taken for dead. Raises BrokerUnavailable.

        ``now_us`` is the store's clock, read just before.
        """
        if not self.is_due:
            return True
        if not self.registry.beat(self.process):
            return False
        self._beat_at = time.monotonic() + BEAT_S
        self.certain_us = now_us
        return True

    def run(self) -> None:
        """Join and leave as wanted, for ever; in a greenlet of its own."""
        while True:
            self._changed.wait(timeout=LINGER_S / 2)
            self._changed.clear()
            try:
                with self._telling:
                    self._join([group for key, group in self._wanted.items() if key not in self._joined])
                    self._give_up_overdue()
                    self._leave(dict(self._leaving))
            except BrokerUnavailable as exc:
                log.warning("subscriptions wait for the record store: %s", exc)
                self._changed.wait(RETRY_S)
                self._changed.set()

    def close(self) -> None:
        """Nothing is to be told here any more."""
        self.registry.close(self.process)

    def _join(self, groups: list[Group]) -> None:
        if not groups or not self.registry.join(self.process, groups):
            return  # taken for dead: `step` finds out as well, and all is joined again
        for group in groups:
            self._joined.add(group.key)
            if joining := self._joining.pop(group.key, None):
                joining.set(True)

    def _give_up_overdue(self) -> None:
        before = time.monotonic() - LINGER_S
        for key in [key for key, since in self._unwanted.items() if since < before]:
            del self._unwanted[key]
            if group := self._wanted.pop(key, None):
                self._joined.discard(key)
                self._joining.pop(key, None)
                self._leaving[key] = group

    def _leave(self, groups: dict[str, Group]) -> None:
        """What the registry could not be told is told it by the next round.

        A group that is wanted again meanwhile is joined by that, as one never joined.
        """
        if groups:
            self.registry.leave(self.process, groups.values())
        for key in groups:
            self._leaving.pop(key, None)


def _name() -> str:
    """One that no process ever had; without spaces, which part names in the registry."""
    return f"{socket.gethostname().replace(' ', '-')}-{os.getpid()}-{secrets.token_hex(4)}"
