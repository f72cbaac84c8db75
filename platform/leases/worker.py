"""A worker under a lease: what Celery's signals set up in its main process."""

from __future__ import annotations

import logging
from typing import Any

from celery.worker import state

from platform import endpoints, store
from platform.leases import names
from platform.leases.channel import LeasedChannel, QoS, is_sound
from platform.leases.holdings import Holdings
from platform.leases.lease import Heart, Lease, rescue_all
from platform.settings import Settings
from platform.transport import key_prefix

log = logging.getLogger(__name__)

HEARTBEATS_PER_TTL = 4
RESCUE_INTERVAL_S = 2.0


class LeasedWorker:
    """The lease of this process; ``begin`` once its consumer is ready, ``end`` when it has stopped."""

    def __init__(self, config: Settings):
        self.config = config
        self.client = store.connect(endpoints.broker_url(config), config, timeout_s=config.lease_ttl_s / 2)
        self.lease = Lease(self.client, key_prefix(config), names.incarnation(), config.lease_ttl_s)
        self._hearts: list[Heart] = []
        self.holdings = Holdings(self.client)
        LeasedChannel.rejoin = staticmethod(self.lease.join)
        LeasedChannel.holdings = self.holdings
        LeasedChannel.is_acceptable = staticmethod(is_sound)

    def begin(self, consumer: Any) -> None:
        LeasedChannel.capacity = staticmethod(lambda: _free_slots(consumer))
        QoS.kept = staticmethod(_going_on)
        self.lease.keep()
        beats = (self._beat, self.config.lease_ttl_s / HEARTBEATS_PER_TTL), (self._rescue, RESCUE_INTERVAL_S)
        self._hearts = [Heart(beat, interval_s) for beat, interval_s in beats]
        for heart in self._hearts:
            heart.start()

    def end(self) -> None:
        """Leave; what was not given back is rescued at once."""
        for heart in self._hearts:
            heart.stop()
        self.lease.leave()

    def _beat(self) -> None:
        self.lease.keep()
        self.holdings.settle()

    def _rescue(self) -> None:
        if self.lease.may_judge:
            rescue_all(self.client, self.lease.prefix, self.config.max_deaths)


def _free_slots(consumer: Any) -> int:
    slots = getattr(consumer.controller, "max_concurrency", None) or consumer.pool.num_processes
    return max(1, slots - len(state.reserved_requests))


def _going_on() -> set[str]:
    """Deliveries whose work goes on although their connection was lost: not when the worker itself ends."""
    if state.should_stop is not None or state.should_terminate is not None:
        return set()
    return {request.message.delivery_tag for request in [*state.active_requests, *state.reserved_requests]}
