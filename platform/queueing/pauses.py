"""Pausing a queue: no worker takes from it, whatever restarts, until somebody resumes it.

Running jobs are not touched, and submitting goes on: jobs wait in the queue, delayed ones too once they are due. On
Redis the script that takes messages looks here, so a pause holds from the call on. On RabbitMQ every worker looks here
once a second (``platform.queueing.consumption``); what it had been sent and not begun by then still runs.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import cast

import msgspec

from platform import store
from platform.errors import QueueNotServed
from platform.leases.scripts import Script, run
from platform.queueing import place
from platform.queues import DEAD_LETTER, known
from platform.settings import settings

log = logging.getLogger(__name__)

RESUME = Script((Path(__file__).parent / "lua" / "resume.lua").read_text())


@dataclass(frozen=True)
class Pause:
    """Since when (ISO 8601 in UTC, milliseconds) and by whom a queue is paused."""

    paused_at: str
    paused_by: str


def paused(patience_s: float = 0.0) -> dict[str, Pause]:
    """The paused queues. Raises BrokerUnavailable."""
    found = store.insist(lambda: place.client().hgetall(place.paused()), patience_s)
    return {queue: msgspec.json.decode(text, type=Pause) for queue, text in cast(dict[str, str], found).items()}


def pause(queues: Sequence[str], by: str) -> None:
    """Pause all of them or, if one is unknown, none; who paused a queue first is kept.

    Safe to repeat. Raises UnknownQueue, QueueNotServed, BrokerUnavailable.
    """
    value = msgspec.json.encode(Pause(now_text(), by))
    for queue in checked(queues):
        if store.insist(partial(place.client().hsetnx, place.paused(), queue, value), 0):
            log.info("queue %s is paused by %s", queue, by)


def resume(queues: Sequence[str], by: str) -> None:
    """Let workers take from them again, from now on. Safe to repeat. Raises as ``pause``."""
    for queue in checked(queues):
        keys = [place.paused(), place.bell(queue), *place.lists(queue).values()]
        if store.insist(partial(run, place.client(), RESUME, keys, [queue]), 0):
            log.info("queue %s is resumed by %s", queue, by)


def checked(queues: Sequence[str]) -> list[str]:
    """The queues themselves, all of which workers serve. Raises UnknownQueue, QueueNotServed."""
    for queue in queues:
        if known(queue, settings()) == DEAD_LETTER:
            raise QueueNotServed(queue)
    return list(queues)


def now_text() -> str:
    """Now, in ISO 8601 in UTC, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
