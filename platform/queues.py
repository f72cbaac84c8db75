"""The queues, and the one scale of priority: 0–9, 9 most urgent, 5 unless said otherwise.

On RabbitMQ the queues are durable classic ones with ``x-max-priority`` 9, or quorum queues where the setting
``queue_type`` says so. On Redis ``platform.transport`` turns the scale round, because Redis takes from the
lowest list first.

Quorum queues live on several nodes and lose nothing with one of them. RabbitMQ before 4.3 refuses ``x-max-priority`` on
them, so it is not asked for, and messages still carry their priority: before 4.0 the server ignores it (jobs start in
the order they were submitted), from 4.0 it knows two classes (0–4 and 5–9), from 4.3 all ten.
"""

from __future__ import annotations

from typing import Any

from kombu import Exchange, Queue

from platform.errors import UnknownQueue
from platform.settings import Settings, settings

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

# A quorum queue drops a message after so many deliveries, from RabbitMQ 4 on after 20 unless told otherwise; the
# platform counts by itself. -1 means "no limit" to RabbitMQ 4 only: 3.10 drops the message at its first return.
DELIVERY_LIMIT = 2**31 - 1


#: AMQP's PRECONDITION_FAILED.
MADE_OTHERWISE = 406


def is_made_otherwise(exc: BaseException) -> bool:
    """Whether RabbitMQ refused to declare a queue because it has one of that name with other arguments."""
    return getattr(exc, "code", None) == MADE_OTHERWISE


#: Those of the pipeline's stages that imported modules declared.
_of_stages: list[str] = []
#: What ``declared`` gave: Celery keeps it, and reads it when it first needs a queue.
_declared: list[Queue] = []


def names(config: Settings) -> list[str]:
    """Every queue there is: the built-in ones, the stages', the configured extra ones."""
    return list(dict.fromkeys([*BUILT_IN, *_of_stages, *config.queues]))


def add_stage(name: str) -> Queue | None:
    """A stage's queue comes into being, and is known from now on.

    Returns it where Celery has been told of the others already, and now has to be told of this one. Safe to repeat.
    """
    if name not in _of_stages:
        _of_stages.append(name)
    if not _declared or name in {queue.name for queue in _declared}:
        return None
    _declared.append(_queue(name, settings()))
    return _declared[-1]


def served_by_default(config: Settings) -> list[str]:
    """What a worker without ``-Q`` consumes: everything but the dead letters."""
    return [name for name in names(config) if name != DEAD_LETTER]


def known(name: str, config: Settings) -> str:
    """The name itself. Raises UnknownQueue, which names the nearest one."""
    if name not in names(config):
        raise UnknownQueue(name, names(config))
    return name


def declared(config: Settings) -> list[Queue]:
    """Every queue as brokers are asked for it; the list grows with ``add_stage``."""
    _declared[:] = [_queue(name, config) for name in names(config)]
    return _declared


def _queue(name: str, config: Settings) -> Queue:
    return Queue(name, Exchange(name, type="direct"), routing_key=name, queue_arguments=_arguments(config))


def _arguments(config: Settings) -> dict[str, Any]:
    """What RabbitMQ is asked for; it refuses to declare a queue again with other arguments."""
    if config.queue_type == "quorum":
        kind: dict[str, Any] = {"x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT}
    else:
        kind = {"x-max-priority": MAX_PRIORITY}
    return kind | {"x-consumer-timeout": CONSUMER_TIMEOUT_MS}


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
