"""The queues, and the one scale of priority: 0–9, 9 most urgent, 5 unless said otherwise.

On RabbitMQ the queues are durable classic ones with ``x-max-priority`` 9: quorum queues refuse
priorities before 4.3. On Redis ``platform.transport`` turns the scale round, because Redis takes
from the lowest list first.
"""

from __future__ import annotations

from typing import Any

from kombu import Exchange, Queue

from platform.settings import Settings

OFFLOAD = "offload"
BATCH = "batch"
WRITE = "pipeline.write"
ROUTE = "pipeline.route"
FANOUT = "fanout"
DEAD_LETTER = "dead-letter"

BUILT_IN = (OFFLOAD, BATCH, WRITE, ROUTE, FANOUT, DEAD_LETTER)

MIN_PRIORITY = 0
MAX_PRIORITY = 9
DEFAULT_PRIORITY = 5

# RabbitMQ closes the channel of a consumer that holds a message longer than this; late acknowledgement
# holds it for as long as the job runs. 30 days, in milliseconds.
CONSUMER_TIMEOUT_MS = 30 * 24 * 3600 * 1000


def names(config: Settings) -> list[str]:
    """Every queue there is, the configured extra ones last."""
    return [*BUILT_IN, *(name for name in config.queues if name not in BUILT_IN)]


def served_by_default(config: Settings) -> list[str]:
    """What a worker without ``-Q`` consumes: everything but the dead letters."""
    return [name for name in names(config) if name != DEAD_LETTER]


def declared(config: Settings) -> list[Queue]:
    arguments = {"x-max-priority": MAX_PRIORITY, "x-consumer-timeout": CONSUMER_TIMEOUT_MS}
    return [
        Queue(name, Exchange(name, type="direct"), routing_key=name, queue_arguments=dict(arguments))
        for name in names(config)
    ]


def route(
    name: str, args: Any, kwargs: Any, options: dict[str, Any], task: Any = None, **_: Any
) -> dict[str, str] | None:
    """Celery's router: the queue a task was declared with, unless the call names one."""
    queue = getattr(task, "default_queue", None)
    return {"queue": queue} if queue else None


def checked_priority(priority: int | None) -> int:
    """The priority a message carries. Raises ValueError outside 0–9."""
    if priority is None:
        return DEFAULT_PRIORITY
    if not MIN_PRIORITY <= priority <= MAX_PRIORITY:
        raise ValueError(f"priority {priority} is not between 0 and 9 (9 is most urgent)")
    return int(priority)
