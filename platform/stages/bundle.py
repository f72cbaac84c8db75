"""A bundle: requests that one call of the pool works on, and one outcome for each of them.

To the worker it is one request: it takes one slot, waits for it like any other, and goes on taking messages in until
it has it. In whatever way the call ends, what each request does then is its own (``platform.request``), but for one
thing: where the process died, or was stopped for its time limit, and it had several to work on, all but those it was
stopped for go back to their queue. Given back, a message is worked on alone, so the one that did it is found.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import ref

from celery.exceptions import TaskRevokedError
from celery.worker import state
from kombu.utils.uuid import uuid

from platform.leases.channel import QoS
from platform.request import Request
from platform.stages.running import run_bundle

log = logging.getLogger(__name__)


class Acknowledgements:
    """Of a bundle: those that come at its end are told in one round trip where the messages are under a lease."""

    def __init__(self) -> None:
        self._kept: list[tuple[Any, Callable[..., Any], tuple[Any, ...]]] | None = None

    def of(self, message: Any, acknowledge: Callable[..., Any]) -> Callable[..., Any]:
        """What a request calls to acknowledge its message."""

        def on_ack(*args: Any) -> None:
            if self._kept is None:
                acknowledge(*args)
            else:
                self._kept.append((message, acknowledge, args))

        return on_ack

    @contextmanager
    def together(self) -> Iterator[None]:
        self._kept = []
        try:
            yield
        finally:
            kept, self._kept = self._kept, None
            leased = [message for message, _, _ in kept if _is_leased(message)]
            if leased:
                leased[0].channel.qos.ack_all([message.delivery_tag for message in leased])
            for message, acknowledge, args in kept:
                if _is_leased(message):
                    message._state = "ACK"
                else:
                    acknowledge(*args)


def _is_leased(message: Any) -> bool:
    return isinstance(getattr(message.channel, "qos", None), QoS) and bool(message.channel.lease)


class Bundle:
    """``room`` is how many changes it takes; ``on_closed`` is called when it takes no more."""

    def __init__(self, task: Any, room: int, on_closed: Callable[[Bundle], None]):
        self.id = uuid()
        self.task = task
        self.room = room
        self.requests: list[Request] = []
        self.acknowledgements = Acknowledgements()
        self._on_closed = on_closed
        self._has_ended = False
        state.reserved_requests.add(self)  # its slot

    def add(self, request: Request, size: int) -> None:
        self.requests.append(request)
        self.room -= size

    # -- what the worker asks of a request

    @property
    def name(self) -> str:
        return str(self.task.name)

    @property
    def delivery_tags(self) -> list[Any]:
        return [request.message.delivery_tag for request in self.requests]

    def info(self, safe: bool = False) -> dict[str, Any]:
        """As ``celery inspect`` shows a request."""
        args = f"{len(self.requests)} messages"
        return {"id": self.id, "name": self.name, "type": self.name, "args": args, "kwargs": "{}", "time_start": None}

    def execute_using_pool(self, pool: Any, **_: Any) -> Any:
        """Its slot is there: take no more, and go. Raises TaskRevokedError where nothing is left to do."""
        self._on_closed(self)
        self.requests = [request for request in self.requests if not request.revoked()]
        if not self.requests:
            self._end()
            raise TaskRevokedError(self.id)
        time_limit, soft_time_limit = self.requests[0].time_limits
        result = pool.apply_async(
            run_bundle,
            args=(self.name, [_parts(request) for request in self.requests]),
            accept_callback=self.on_accepted,
            timeout_callback=self.on_timeout,
            callback=self.on_success,
            error_callback=self.on_failure,
            soft_timeout=soft_time_limit or self.task.soft_time_limit,
            timeout=time_limit or self.task.time_limit,
            correlation_id=self.id,
        )
        for request in self.requests:
            request._apply_result = ref(result) if result is not None else None  # what ``terminate`` goes by
        return result

    # -- what the pool tells

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        for request in self.requests:
            request.on_accepted(pid, time_accepted)

    def on_success(self, results: Any, **_: Any) -> None:
        """One result for each request, as Celery's tracer gives it."""
        with self._ending():
            for request, result in zip(self.requests, results, strict=True):
                self._tell(request.on_success, result)

    def on_failure(self, exc_info: Any, **_: Any) -> None:
        """The call as a whole came to nothing: its process died, or this project has a fault."""
        if self._has_ended:
            return
        with self._ending():
            if len(self.requests) == 1:
                self._tell(self.requests[0].on_failure, exc_info)
                return
            log.error("%s messages of %s go back, to be worked on alone: %r", len(self.requests), self.name, exc_info)
            for request in self.requests:
                self._tell(request.on_failure, exc_info) if request.has_ended else self._tell(request.give_back)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Of several it is not known which one took its time; they were given back by ``on_failure``."""
        if soft:
            log.warning("soft time limit (%ss) exceeded by %s messages of %s", timeout, len(self.requests), self.name)
        elif len(self.requests) == 1:
            self.requests[0].on_timeout(soft, timeout)

    # -- plumbing

    def _tell(self, what: Callable[..., Any], *args: Any) -> None:
        try:
            what(*args)
        except Exception:  # as the pool does with a callback: the others' ends must be told all the same
            log.exception("the end of a message of %s could not be told", self.name)

    @contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            with self.acknowledgements.together():
                yield
        finally:
            self._end()

    def _end(self) -> None:
        self._has_ended = True
        state.reserved_requests.discard(self)


def _parts(request: Request) -> tuple[dict[str, Any], Any, str, str]:
    """What a child needs of a request: not the arguments, which are in the body."""
    headers = {name: value for name, value in request.request_dict.items() if name not in ("args", "kwargs")}
    return headers, request.body, request.content_type, request.content_encoding
