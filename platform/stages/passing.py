"""What becomes of a stage's jobs once its function has answered: their outcomes, and what goes on from them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from celery.exceptions import Ignore

from platform import retries
from platform.envelope import replays_of
from platform.outbox import collecting
from platform.stages.answers import NAMESPACE, Answer, NotAChange
from platform.stages.counters import Count, count
from platform.stages.graph import graph
from platform.stages.stage import Side, Stage


@dataclass
class Run:
    """One job of a stage: ``changes`` are its message's, ``answers`` one for each."""

    context: Any
    answers: list[Answer] = field(default_factory=list)
    result: Any = None
    error: Exception | None = None
    is_passed_on: bool = False

    @property
    def changes(self) -> list[Any]:
        args, kwargs = self.context.args or [], self.context.kwargs
        if len(args) != 1 or kwargs or not isinstance(args[0], list) or not args[0]:
            raise NotAChange("the one argument of a stage is a list of changes")
        return args[0]

    @property
    def passed(self) -> list[Any]:
        """What goes on, in order."""
        return [one for answer in self.answers if isinstance(answer, list) for one in answer]

    @property
    def errors(self) -> list[Exception]:
        return [answer for answer in self.answers if isinstance(answer, Exception)]

    def hand_out(self) -> Any:
        """The job's result; raises its error, or Ignore where the job is the next stage's now."""
        if self.error is not None:
            raise self.error
        if self.is_passed_on:
            raise Ignore("it goes on as the next stage's job")
        return self.result


def work_on(task: Any, runs: Sequence[Run]) -> None:
    """Call the stage for all of them, publish what follows and note each one's outcome.

    An outcome is an error where a change could not be worked on, or what follows could not be published.
    """
    stage = graph.get(task.stage)
    began = time.monotonic()
    sound = _sound(runs)
    answers = iter(task.function.answers([change for run in sound for change in _given(stage, run)]))
    for run in sound:
        run.answers = [next(answers) for _ in run.changes]
    took_s = time.monotonic() - began
    try:
        _pass_on(task, stage, sound)
    except Exception as exc:  # noqa: BLE001 - none of these jobs is done; each is tried again by its own policy
        for run in sound:
            run.error = run.error or exc
    count(stage.name, _tally(sound, took_s))


def _sound(runs: Sequence[Run]) -> list[Run]:
    sound = []
    for run in runs:
        try:
            _ = run.changes
        except NotAChange as exc:
            run.error = exc
        else:
            sound.append(run)
    return sound


def _given(stage: Stage, run: Run) -> list[Any]:
    """The changes of a job's message; where they are not stored yet, with how often it was replayed."""
    replays = replays_of(run.context.headers or {})
    if not replays or stage.side == Side.AFTER:
        return run.changes
    return [{**change, "replays": replays} if isinstance(change, dict) else change for change in run.changes]


def _pass_on(task: Any, stage: Stage, runs: Sequence[Run]) -> None:
    with collecting() as outbox:
        if stage.side == Side.BEFORE:
            for run in runs:
                _become_next(task, stage, run)
        else:
            passed = [one for run in runs for one in _spread(task, stage, run)]
            for follower in graph.followers(stage.name):
                _feed(task.app, follower, passed)
        outbox.send()


# -- before the database: the job itself goes on


def _become_next(task: Any, stage: Stage, run: Run) -> None:
    if run.errors:
        run.error = run.errors[0]
    elif not run.passed:
        run.result = {"dropped": stage.name}
    else:
        follower = graph.followers(stage.name)[0]
        context = run.context
        as_before = context.as_execution_options() | {"priority": (context.delivery_info or {}).get("priority")}
        nesting = (context.replaced_task_nesting or 0) + 1
        own = {"retries": 0, "replaced_task_nesting": nesting, "add_to_parent": False}
        publish(task.app, follower, run.passed, **as_before | own)
        run.is_passed_on = True


# -- behind it: new jobs, as many as it takes


def _spread(task: Any, stage: Stage, run: Run) -> list[Any]:
    """What goes on of a job; what could not be worked on fails it, or is published again alone."""
    if run.errors:
        if stage.side == Side.WRITE or len(run.answers) == 1:
            run.error = run.errors[0]
        else:
            for change, answer in zip(run.changes, run.answers, strict=True):
                if isinstance(answer, Exception):
                    _again_alone(task, stage, run.context, change, answer)
    elif stage.side == Side.WRITE:
        told = [{"id": one.id, "type": one.type, "version": one.version} for one in run.passed]
        run.result = told[0] if len(told) == 1 else told
    return run.passed


def _again_alone(task: Any, stage: Stage, context: Any, change: Any, exc: Exception) -> None:
    """A chunk's job was made of many; one that failed is a job of its own from now on, with the tries it has left."""
    tried = context.retries or 0
    change_id = change.get("change_id") or change.get("change", {}).get("change_id") or uuid.uuid4().hex
    options: dict[str, Any] = {"task_id": _job_id(stage, change_id), "retries": tried}
    if not retries.is_permanent(exc) and (task.max_retries is None or tried < task.max_retries):
        countdown = retries.delay_s(tried, exc, task.default_retry_delay)
        options |= {"retries": tried + 1, "countdown": countdown}
    publish(task.app, stage, [change], **options)


def _feed(app: Any, follower: Stage, passed: Sequence[Any]) -> None:
    for first in range(0, len(passed), follower.batch):
        chunk = passed[first : first + follower.batch]
        publish(app, follower, chunk, **_job_of_one(follower, chunk[0]) if follower.batch == 1 else {})


def _job_of_one(follower: Stage, change: Any) -> dict[str, Any]:
    """One change has one job of a stage, however often it is passed on: a second one is not published."""
    return {"task_id": _job_id(follower, change.change_id), "headers": {"app_id": change.app_id}}


def _job_id(stage: Stage, change_id: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{stage.name} {change_id}"))


def publish(app: Any, stage: Stage, changes: Sequence[Any], **options: Any) -> Any:
    """Submit a job of a stage; ``options`` are ``apply_async``'s."""
    many = f"({len(changes)} changes,)"  # their text is not written into every message's headers
    return app.tasks[stage.task].apply_async(args=([*changes],), argsrepr=many, kwargsrepr="{}", **options)


def _tally(runs: Sequence[Run], took_s: float) -> Count:
    answers = [answer for run in runs for answer in run.answers]
    return Count(
        received=len(answers),
        passed=sum(len(answer) for answer in answers if isinstance(answer, list)),
        dropped=sum(answer == [] for answer in answers),
        failed=sum(isinstance(answer, Exception) for answer in answers),
        seconds=took_s,
    )
