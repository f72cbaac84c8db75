"""A job's record that rides with its message: written by the transport, in the same script call that publishes it.

Only where records and queues are on one server; elsewhere the record is written first (``platform.publishing``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol


class Rider(Protocol):
    """What the transport may ask of a record that wants to come along."""

    def with_message(self, client: Any, queue_list: str, bell: str, message: str) -> None:
        """Write the record and publish the message, both or neither."""

    def alone(self) -> None:
        """Write the record by itself: the message goes another way (a batch, another kind of exchange)."""


_rider: ContextVar[Rider | None] = ContextVar("rider", default=None)


def rider() -> Rider | None:
    return _rider.get()


@contextmanager
def riding(record: Rider) -> Iterator[None]:
    token = _rider.set(record)
    try:
        yield
    finally:
        _rider.reset(token)
