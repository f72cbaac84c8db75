"""The child's side of a bundle: one round trip to begin its jobs, one call of the stage, one round trip to end them.

What a job's own run is remains Celery's: each goes through the task's tracer, with its signals, retries, callbacks and
failures, after the stage was called for all of them; the task's code then is to hand out what that call gave
(``platform.stages.task``). What follows is published before a job is told to have completed: where a process dies
between the two, the job runs again and what follows comes twice, but nothing is lost.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

from billiard.einfo import ExceptionInfo
from celery import current_app
from celery.app import trace
from celery.app.task import Context
from celery.exceptions import Reject
from celery.utils.saferepr import saferepr
from kombu.serialization import loads, prepare_accept_content

from platform.jobs.facts import Started
from platform.jobs.ledger import ledger
from platform.results import Together
from platform.stages.passing import Run, work_on
from platform.task import described

Result = tuple[int, Any, float]

_KNOWN = frozenset({*vars(Context), "lang", "task", "argsrepr", "kwargsrepr", "compression"})


def shown(value: Any, maxlen: int | None = None, *how: Any) -> str:
    """A result as the tracer makes a text of it for the log, logged or not: Celery's takes 17 µs for a stage's."""
    if type(value) is dict and len(value) <= 8 and all(type(one) in (str, int) for one in value.values()):
        text = repr(value)
        if maxlen is None or len(text) <= maxlen:
            return text
    return "None" if value is None else saferepr(value, maxlen, *how)


trace.saferepr = shown


@dataclass
class Traced:
    """One message of a bundle: ``request`` is what its tracer is given."""

    request: dict[str, Any]
    run: Run = field(init=False)

    def __post_init__(self) -> None:
        self.run = Run(Context(self.request))

    def trace(self, task: Any) -> Result:
        """As ``celery.app.trace.trace_task_ret``."""
        request = self.request
        try:
            returned, info, took_s, shown = task.__trace__(request["id"], request["args"], request["kwargs"], request)
        except Reject:  # raised by a hook, which Celery lets end the call
            return 1, ExceptionInfo(sys.exc_info()), 0.0
        return (1, returned, took_s) if info else (0, shown, took_s)


def run_bundle(name: str, messages: list[tuple[dict[str, Any], Any, str, str]]) -> list[Result]:
    """What a worker calls in its pool: the headers, body, content type and encoding of each message."""
    task, together = current_app.tasks[name], Together()
    accept = prepare_accept_content(current_app.conf.accept_content)
    traced = [Traced(_request(headers, loads(*body, accept=accept))) for headers, *body in messages]
    answers = ledger().start_all([described(task, one.run.context) for one in traced])
    for one, answer in zip(traced, answers, strict=True):
        one.request |= {"answer": answer, "run": one.run, "together": together}
    work_on(task, [one.run for one, answer in zip(traced, answers, strict=True) if isinstance(answer, Started)])
    results = [one.trace(task) for one in traced]
    together.tell()
    return results


def _request(headers: dict[str, Any], payload: Any) -> dict[str, Any]:
    """As Celery's tracer is given it; the custom headers are named, or what is added here would travel with a retry."""
    args, kwargs, embed = payload
    own = {name: value for name, value in headers.items() if name not in _KNOWN}
    return {**headers, "args": args, "kwargs": kwargs, "is_eager": False, "headers": own or None, **(embed or {})}
