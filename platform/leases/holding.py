"""Where a delivery is recorded while its worker is alive: what scripts on the record store need to end it."""

from __future__ import annotations

from functools import cache

from platform import endpoints
from platform.leases import names
from platform.settings import settings
from platform.transport import key_prefix


def held_in(tag: object) -> str:
    """The hash that holds the delivery; empty without a lease, and where the records are on another server."""
    owner = names.incarnation_of(str(tag or ""))
    return names.held(queue_prefix(), owner) if owner and endpoints.records_are_beside_queues() else ""


@cache
def queue_prefix() -> str:
    """Before every key of the transport, leases included."""
    return key_prefix(settings())
