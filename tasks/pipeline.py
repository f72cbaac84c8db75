"""The pipeline: changes of documents go through stages, each a Celery task on a queue of its own.

    change ─► [your stages] ─► write ─► route ─► deliver
                                  └───► [your stages]

``@stage("enrich", before="write")`` gets each Change before it is stored and returns what goes on: it, changed or not,
another one, several in a list, or None to drop it. ``@stage("email", after="write")`` gets each Committed change, in
parallel to its way to subscribers. Every stage's function may run more than once for a change, after a crash.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache, partial
from typing import Any

from celery.result import AsyncResult
from msgspec import structs

from platform import options, queues
from platform.celery import app
from platform.documents.change import Act, Change, Committed
from platform.documents.errors import ChangeRefused
from platform.documents.model import checked_fields, model_of
from platform.documents.patch import normalised
from platform.outbox import collecting
from platform.routing import route as find_targets
from platform.settings import settings
from platform.stages.answers import Function
from platform.stages.graph import DELIVER, ROUTE, WRITE, graph
from platform.stages.passing import publish
from platform.stages.stage import BadStage, Side, Stage
from platform.stages.task import StageTask
from platform.streams.delivery import Entry
from platform.streams.delivery import deliver as append

GATHERING = "platform.stages.gathering:gathering"
#: How many changes one call of the platform's own stages takes at most. A call costs as much as some fifty changes, and
#: one transaction of so many keeps other writers waiting for about 40 ms.
BATCH = 250
#: Of these stages only the database or the broker being away makes another try; it goes on for hours.
MOST_RETRIES = 25


def stage(
    name: str, *, before: str | None = None, after: str | None = None, batch: int = 1, **task_options: Any
) -> Callable[[Callable[..., Any]], Any]:
    """Declare a stage; its queue is ``pipeline.<name>``.

    ``before`` and ``after`` name stages that are declared already. With ``batch`` over 1 the function gets a list of up
    to so many changes and returns a list as long, of what goes on for each, or of exceptions; or None for nothing at
    all. ``task_options`` are those of ``app.task``: ``max_retries``, ``concurrency``, ``priority`` and so on; limits
    count messages, of which each has one change, or behind ``write`` up to ``batch``.

    Of one change, a function that raises fails that one alone: it is tried again by the task's policy, and becomes a
    dead letter. Raises BadStage, UnknownOption, BadLimit.
    """

    def declare(function: Callable[..., Any]) -> Any:
        queue = f"pipeline.{name}"
        task_name = f"{function.__module__}.{function.__name__}"
        _check(name, batch, task_options)
        made = graph.add(Stage(name, task_name, queue, batch), before, after)
        kind = Change if made.side == Side.BEFORE else Committed
        _tell_celery(queue)
        return _task(made, Function(name, function, kind, kind, batch), **task_options)

    return declare


def create(type: str, fields: Mapping[str, Any], *, id: str | None = None, **about: Any) -> AsyncResult:
    """Ask for a new document; the job's result is ``{"id","type","version"}``.

    ``about`` are fields of Change: ``app_id`` (default: PLATFORM_APP_ID), ``user_id``, ``actor``, ``change_id`` (the
    job's id). Raises UnknownModel, InvalidDocument, BrokerUnavailable.
    """
    data, document_id = dict(fields), uuid.uuid4().hex if id is None else id
    return _submitted("create", type, document_id, data=data, **about)


def patch(type: str, id: str, operations: Sequence[Mapping[str, Any]], **about: Any) -> AsyncResult:
    """Ask for a change of a document by JSON Patch; ``if_version`` refuses it unless the document has that version.

    Raises UnknownModel, BadPatch, BrokerUnavailable.
    """
    return _submitted("patch", type, id, patch=[dict(operation) for operation in operations], **about)


def delete(type: str, id: str, **about: Any) -> AsyncResult:
    """Ask for a document to be deleted; ``if_version`` as for ``patch``. Raises UnknownModel, BrokerUnavailable."""
    return _submitted("delete", type, id, **about)


def _submitted(act: Act, type: str, id: str, **about: Any) -> AsyncResult:
    about = {"change_id": str(uuid.uuid4()), "app_id": settings().app_id, **about}
    (job_id,) = submit([Change(act=act, type=type, id=id, **about)])
    return AsyncResult(job_id, app=app)


def submit(changes: Change | Sequence[Change], **options: Any) -> list[str]:
    """Let changes enter the pipeline, each as a job whose id is its ``change_id``; returns the ids.

    What can be told without the database is told now: an unknown model, a new document that does not fit it, a patch
    that is none. One that is wrong, and none of them enters. Submitting one again, after a doubtful failure, changes
    nothing twice. ``options`` are ``apply_async``'s. Raises ChangeRefused, BrokerUnavailable.
    """
    _know_stages()
    several = [changes] if isinstance(changes, Change) else changes
    checked = [_checked(change) for change in several]
    with collecting() if len(checked) > 1 else nullcontext() as outbox:
        for change in checked:
            own = {"task_id": change.change_id, "headers": _whose(change) | options.get("headers", {})}
            publish(app, graph.first(), [change], **options | own)
        if outbox is not None:
            outbox.send()
    return [change.change_id for change in checked]


@cache
def _know_stages() -> None:
    """Once in a process: those of the user's modules too."""
    app.load_everything()


def _whose(change: Change) -> dict[str, str]:
    return {"owner": change.actor, "app_id": change.app_id}


def _checked(change: Change) -> Change:
    """The change as it travels. Raises ChangeRefused."""
    model = model_of(change.type)
    now = {"at_ms": change.at_ms or time.time_ns() // 1_000_000}
    if change.act == "create":
        return structs.replace(change, data=checked_fields(model, change.data or {}), **now)
    if change.act == "patch":
        return structs.replace(change, patch=normalised(change.patch), **now)
    return structs.replace(change, **now)


# -- the platform's own stages


def _write(changes: list[Change]) -> Sequence[Committed | Exception]:
    """Store changes, all in one transaction; each is refused alone."""
    from platform.documents.store import apply

    return apply(changes)


def _deliver(entries: list[Entry]) -> None:
    """Tell them: into the streams, and to the socket processes."""
    append(entries)


def _own(name: str, queue: str, call: Callable[..., Any], takes: type, gives: type) -> Any:
    declared = Stage(name, f"tasks.pipeline.{name}", queue, BATCH, Side.WRITE if name == WRITE else Side.AFTER)
    function = Function(name, call, takes, gives, BATCH)
    return declared, partial(_task, declared, function, max_retries=MOST_RETRIES, throws=(ChangeRefused,))


def _check(name: str, batch: int, task_options: Mapping[str, Any]) -> None:
    """Before anything is declared. Raises as ``stage``."""
    options.check_task_options({"base": StageTask, **task_options})
    for taken in ("name", "base", "bind", "queue", "stage", "function", "work"):
        if taken in task_options:
            raise BadStage(f"stage {name}: {taken}= is for the platform to say; leave it out")
    concurrency = task_options.get("concurrency")
    if batch > 1 and concurrency is not None and concurrency < batch:
        raise BadStage(
            f"stage {name}: concurrency={concurrency} would split up every batch of {batch}; it counts messages, so "
            "give at least batch, or let fewer workers serve the queue"
        )


def _tell_celery(queue: str) -> None:
    made = queues.add_stage(queue)
    if made is not None and "amqp" in vars(app):
        app.amqp.queues.add(made)


def _task(declared: Stage, function: Function, **task_options: Any) -> Any:
    def run(self: StageTask, changes: list[Any]) -> Any:
        return self.work(changes)

    run.__doc__ = function.call.__doc__
    strategy = {"Strategy": GATHERING} if declared.batch > 1 else {}
    own = {"name": declared.task, "queue": declared.queue, "stage": declared.name, "batch": declared.batch}
    return app.task(bind=True, base=StageTask, function=function, **strategy, **own, **task_options)(run)


_stages = [
    _own(WRITE, queues.WRITE, _write, Change, Committed),
    _own(ROUTE, queues.ROUTE, find_targets, Committed, Entry),
    _own(DELIVER, queues.FANOUT, _deliver, Entry, Entry),
]
graph.begin(*(declared for declared, _ in _stages))
write, route, deliver = (make() for _, make in _stages)
