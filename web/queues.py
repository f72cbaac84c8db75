"""``/queues``: look at them, pause, resume and limit them."""

from __future__ import annotations

from typing import Any

from flask import g

from platform.queueing import acts
from platform.queueing.overview import queue_now, queues_now
from platform.queues import names
from platform.settings import settings
from web.routing import Routes
from web.schemas.paging import Paging, page_of
from web.schemas.queues import QueueAnswer, QueueLimitsRequest, QueuePage

routes = Routes(tag="Queues")


@routes.get("/queues", query=Paging, answers={200: QueuePage}, summary="List queues")
def index(query: Paging) -> Any:
    """What waits by priority, what runs, how old the oldest is, how fast jobs come and go, who serves it."""
    known = names(settings())
    wanted = known[query.offset : query.offset + query.limit]
    return page_of([queue.as_dict() for queue in queues_now(wanted)], len(known), query)


@routes.get("/queues/<name>", answers={200: QueueAnswer}, problems=(404,), summary="One queue")
def show(name: str) -> Any:
    """As it is now."""
    return queue_now(name).as_dict()


@routes.post(
    "/queues/<name>/pause",
    auth="operator",
    answers={200: QueueAnswer},
    problems=(404, 409),
    summary="Pause a queue",
)
def pause(name: str) -> Any:
    """No worker takes from it until it is resumed, whatever restarts meanwhile. Running jobs go on, submitting too.

    A queue paused already stays as it is. On RabbitMQ workers follow within about a second.
    """
    acts.pause([name], g.caller.email)
    return queue_now(name).as_dict()


@routes.post(
    "/queues/<name>/resume",
    auth="operator",
    answers={200: QueueAnswer},
    problems=(404, 409),
    summary="Resume a queue",
)
def resume(name: str) -> Any:
    """Waiting workers start at once. A queue that is not paused stays as it is."""
    acts.resume([name], g.caller.email)
    return queue_now(name).as_dict()


@routes.put(
    "/queues/<name>/limits",
    body=QueueLimitsRequest,
    auth="operator",
    answers={200: QueueAnswer},
    problems=(404, 409),
    summary="Limit a queue",
)
def limit(name: str, body: QueueLimitsRequest) -> Any:
    """So many of its jobs at once, so many begun in a time, over all workers, instead of the limits it has; null is no
    limit. It holds from now on, whatever restarts. Jobs that run already go on and are not counted; those that wait and
    fit start at once.
    """
    acts.limit(name, body.concurrency, body.rate, g.caller.email)
    return queue_now(name).as_dict()
