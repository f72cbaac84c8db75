"""Gathering: a worker's strategy for stages that take many messages at once.

A message that arrives is put to the bundle of its stage that waits for a slot; where none does, it begins one, which
asks for a slot in the same round of the event loop. So nothing lingers: with a slot free the bundle goes with what was
delivered in that round, with none free it grows until one is, to at most the stage's batch. On Redis one free slot
takes up to a batch from the queue (``fetch.lua``); on RabbitMQ the prefetch count allows it (``platform.consumer``).

Worked on alone are messages that were given back, for one of them may be what ended its process, and those with time
limits of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import signals
from celery.utils.imports import symbol_by_name
from celery.worker import state

from platform.leases.channel import MAX_SLOT_BYTES
from platform.stages.bundle import Bundle


class Gatherer:
    """Of one stage in one worker; ``begin`` is given each new bundle, once."""

    def __init__(self, task: Any, batch: int, begin: Callable[[Bundle], Any]):
        self._task, self._batch, self._begin = task, batch, begin
        self._open: Bundle | None = None
        self._bytes = 0

    def bundle_for(self, message: Any, size: int) -> Bundle:
        """Where a message with so many changes goes."""
        if self._is_alone(message):
            return self._begun(Bundle(self._task, 0, self._closed))
        if self._open is None or size > self._open.room or self._bytes > MAX_SLOT_BYTES:
            self._open, self._bytes = self._begun(Bundle(self._task, max(self._batch, size), self._closed)), 0
        self._bytes += len(message.body or b"")
        return self._open

    def _begun(self, bundle: Bundle) -> Bundle:
        self._begin(bundle)
        return bundle

    def _closed(self, bundle: Bundle) -> None:
        if self._open is bundle:
            self._open = None

    def _is_alone(self, message: Any) -> bool:
        hard_s, soft_s = message.headers.get("timelimit") or (None, None)
        has_own_limits = (hard_s or self._task.time_limit, soft_s or self._task.soft_time_limit) != (
            self._task.time_limit,
            self._task.soft_time_limit,
        )
        return has_own_limits or bool((message.delivery_info or {}).get("redelivered"))


def gathering(task: Any, app: Any, consumer: Any, **_: Any) -> Callable[..., Any]:
    """Celery's hook: what a worker does with a message of the task; asked anew after each reconnection.

    Celery's own without what this platform has elsewhere: times to come and rate limits.
    """
    make_request = symbol_by_name(task.Request)
    # In the next round of the loop: by then the rest of what was delivered with it is there.
    gatherer = Gatherer(task, task.batch, lambda bundle: consumer.call_soon(consumer.on_task_request, bundle))

    def receive(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any) -> None:
        size = _changes_in(message)
        bundle = gatherer.bundle_for(message, size)
        request = make_request(
            message,
            on_ack=bundle.acknowledgements.of(message, ack),
            on_reject=reject,
            app=app,
            hostname=consumer.hostname,
            eventer=consumer.event_dispatcher,
            task=task,
            connection_errors=consumer.connection_errors,
            body=message.body,
            headers=message.headers,
        )
        if (request.expires or request.id in state.revoked) and request.revoked():
            return
        signals.task_received.send(sender=consumer, request=request)
        if consumer.event_dispatcher and consumer.event_dispatcher.enabled:
            request.send_event("task-received", **_told_of(request))
        bundle.add(request, size)
        for callback in callbacks:
            callback(request)

    return receive


def _told_of(request: Any) -> dict[str, Any]:
    """As Celery's own strategy tells of a message, to Flower for one."""
    own = ("name", "root_id", "parent_id")
    facts = {name: getattr(request, name) for name in own} | {"args": request.argsrepr, "kwargs": request.kwargsrepr}
    expires = request.expires.isoformat() if request.expires else None
    return facts | {"retries": request.request_dict.get("retries", 0), "eta": None, "expires": expires}


def _changes_in(message: Any) -> int:
    args = message.payload[0]
    return len(args[0]) if args and isinstance(args[0], list) else 1
