"""A worker under a lease: what Celery's signals set up in its main process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from celery.worker import state
from kombu import Connection

from platform import endpoints, store
from platform.leases import names
from platform.leases.channel import LeasedChannel, QoS
from platform.leases.holdings import Holdings
from platform.leases.lease import Heart, Lease, rescue_all
from platform.leases.strays import Strays
from platform.settings import Settings
from platform.transport import key_prefix

log = logging.getLogger(__name__)

HEARTBEATS_PER_TTL = 4
RESCUE_INTERVAL_S = 2.0


class LeasedWorker:
    """The lease of this process; ``begin`` once its consumer is ready, ``end`` when it has stopped.

    On Redis the lease is what messages are held under. On RabbitMQ, which keeps that itself, it is only a heartbeat
    beside the records: a job whose worker lives, though its connection was lost, is not started a second time.
    ``batches`` tells of how many messages of a queue one slot takes at once, where that is more than one.
    """

    def __init__(self, config: Settings, batches: Callable[[], Mapping[str, int]]):
        self.config = config
        self._batches = batches
        self.holds_messages = endpoints.is_redis(endpoints.broker_url(config))
        place = endpoints.broker_url(config) if self.holds_messages else endpoints.redis_url(config)
        self.client = store.connect(place, config, timeout_s=config.lease_ttl_s / 2)
        self.lease = Lease(self.client, key_prefix(config), names.incarnation(), config.lease_ttl_s)
        names.become(self.lease.name)
        self._hearts: list[Heart] = []
        self.holdings = Holdings(self.client)
        self._strays = Strays(self.lease, self._own_tags)
        LeasedChannel.rejoin = staticmethod(self.lease.join)
        LeasedChannel.holdings = self.holdings

    def begin(self, consumer: Any) -> None:
        LeasedChannel.capacity = staticmethod(lambda: free_slots(consumer))
        LeasedChannel.batches = self._batches()
        QoS.kept = staticmethod(_going_on)
        self.lease.keep()
        self._hearts = [Heart(self._beat, self.config.lease_ttl_s / HEARTBEATS_PER_TTL)]
        if self.holds_messages:
            self._hearts.append(Heart(self._rescue, RESCUE_INTERVAL_S))
        for heart in self._hearts:
            heart.start()

    def end(self) -> None:
        """Leave; what was not given back is rescued at once."""
        for heart in self._hearts:
            heart.stop()
        self.lease.leave()

    def broker_answers(self) -> bool:
        """Whether the broker could be consumed from now; on RabbitMQ it is asked by a connection of its own."""
        if not self.lease.was_seen_lately:
            return False
        if self.holds_messages:
            return True
        try:
            with Connection(endpoints.broker_url(self.config), connect_timeout=2) as connection:
                connection.connect()
        except (OSError, *connection.connection_errors):
            return False
        return True

    def _beat(self) -> None:
        self.lease.keep()
        self.holdings.settle()
        if self.holds_messages:
            self._strays.give_back()

    def _own_tags(self) -> set[str] | None:
        try:
            return _under_way() | QoS.delivered() | self.holdings.ended()
        except RuntimeError:  # the event loop changed one of them meanwhile
            return None

    def _rescue(self) -> None:
        if self.lease.may_judge:
            rescue_all(self.client, self.lease.prefix, self.config.max_deaths)


def free_slots(consumer: Any) -> int:
    """How many more jobs the worker could begin now; at least 1, for who asks is about to begin one."""
    return max(1, slots(consumer) - len(state.reserved_requests))


def slots(consumer: Any) -> int:
    return int(getattr(consumer.controller, "max_concurrency", None) or consumer.pool.num_processes)


def _going_on() -> set[str]:
    """Deliveries whose work goes on although their connection was lost: not when the worker itself ends."""
    if state.should_stop is not None or state.should_terminate is not None:
        return set()
    return _under_way()


def _under_way() -> set[str]:
    return {tag for request in [*state.active_requests, *state.reserved_requests] for tag in request.delivery_tags}
