"""One run of a chunk: its items one after the other, their outcomes told together where they are quick.

Before an item runs it is marked, so that a death finds who was at work. Quick items are marked and told a window at a
time, some ``WINDOW_S`` of work; a chunk that died with more than one marked is taken apart: those run again one at a
time, the others at once and elsewhere. So an item that ends its process is found after one death more than a job is,
and what it had beside it is none the worse. What an item does happens at least once, as with any job.
"""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from celery import current_app
from celery.exceptions import Ignore, Retry

from platform import retries
from platform.batches.chunks import CAREFUL, LONGEST_RUN_S
from platform.batches.publishing import publish_callbacks, publish_chunks
from platform.batches.register import Begun, HandOver, Outcome, batches
from platform.errors import JobCancelled, WorkerCrashed
from platform.results import describe_error
from platform.serialization import decode, encode, encode_bounded
from platform.settings import settings

log = logging.getLogger(__name__)

#: Work between two calls to the record, in seconds, and items in it at most.
WINDOW_S = 0.05
MOST_IN_WINDOW = 100
READ_AT_ONCE = 200
LONGEST_WINDOW_S = 0.2
STOPPING_INTERVAL_S = 0.2
#: An error of an item is cut to so many characters.
MAX_ERROR_CHARS = 500


#: Seconds an item of a task takes in this process: the latest window's, or the average where that is less.
_pace: dict[str, float] = {}


@dataclass
class Current:
    """The item under way in this thread.

    ``repairs``: how often somebody asked for it to be run again, from which on ``tries`` count; ``made``: the batches
    it made.
    """

    batch_id: str
    index: int
    tries: int
    repairs: int = 0
    asked_at: float = -math.inf
    is_stopping: bool = False
    made: int = 0

    def stop_requested(self) -> bool:
        """Whether the batch was cancelled; asks at most five times a second."""
        now = time.monotonic()
        if not self.is_stopping and now - self.asked_at > STOPPING_INTERVAL_S:
            self.asked_at = now
            self.is_stopping = batches().is_stopping(self.batch_id)
        return self.is_stopping


_current: ContextVar[Current | None] = ContextVar("batch_item", default=None)


def current_item() -> Current | None:
    """The item that runs here, if one does."""
    return _current.get()


@dataclass
class Report:
    """What a run of a chunk did, for its job's result."""

    completed: int = 0
    failed: int = 0
    again: int = 0
    handed_over: int = 0


@dataclass
class ChunkRun:
    """``attempt`` is that of the chunk's job."""

    batch_id: str
    number: int
    attempt: str
    job_id: str
    report: Report = field(default_factory=Report)

    def run(self) -> Report:
        """Raises JobCancelled where the batch is cancelled, BrokerUnavailable; repeating it does what is left."""
        begun = batches().begin(self.batch_id, self.number, self.attempt, self.job_id)
        if begun is None:
            return self.report
        if begun.is_stopped:
            self._stop(begun)
        if begun.has_died:
            self._take_apart(begun)
            return self.report
        work = _Work(self, begun)
        if not work.go():
            return self.report  # another run has the chunk
        if work.is_stopped:
            self._stop(begun)
        if work.left or work.again:
            self._end(work, begun.fields)
        return self.report

    def _stop(self, begun: Begun) -> None:
        left = HandOver(cancelled=begun.indices)
        self._hand_over(left)
        raise JobCancelled(self.job_id)

    def _take_apart(self, begun: Begun) -> None:
        """An earlier run ended with its process: whoever was at work then goes on apart from the others."""
        suspects = [at for at, state in enumerate(begun.states) if state == "r"]
        rest = [begun.indices[at] for at, state in enumerate(begun.states) if state in "pa"]
        most = settings().max_deaths
        what = HandOver(chunks=[("", rest)] if rest else [])
        if len(suspects) != 1:
            what.interrupted = [begun.indices[at] for at in suspects]
            if suspects:
                what.chunks.append((CAREFUL, what.interrupted))
        elif begun.deaths[suspects[0]] + 1 >= most:
            what.failed = [begun.indices[suspects[0]]]
            what.error = _error_text(WorkerCrashed(self.job_id, most, "its worker or its process was gone"))
        else:
            what.died = [begun.indices[suspects[0]]]
            what.chunks.append((CAREFUL, what.died))
        self.report.handed_over = len(rest)
        self._hand_over(what)

    def _end(self, work: _Work, fields: Mapping[str, str]) -> None:
        """What is left goes to others: those that failed after a while, those there was no time for at once."""
        halves = _halves(work.left)
        waits = sorted(work.again.items())
        chunks = [(CAREFUL if work.is_careful else "", half) for half in halves]
        what = HandOver(interrupted=work.left, chunks=[*chunks, *(("", indices) for _, indices in waits)])
        self.report.handed_over = len(work.left)
        numbers = self._hand_over(what, publish=False)
        if numbers is None:
            return
        publish_chunks(self.batch_id, numbers[: len(halves)], fields)
        for (wait_s, _), number in zip(waits, numbers[len(halves) :], strict=True):
            publish_chunks(self.batch_id, [number], fields, countdown_s=wait_s)

    def _hand_over(self, what: HandOver, publish: bool = True) -> Sequence[int] | None:
        answer = batches().hand_over(self.batch_id, self.number, self.attempt, what)
        if answer is None:
            return None
        numbers, fired = answer
        if publish:
            publish_chunks(self.batch_id, numbers)
        publish_callbacks(self.batch_id, fired)
        return numbers


class _Work:
    """The items of one run, and what became of them."""

    def __init__(self, chunk: ChunkRun, begun: Begun):
        self.chunk, fields = chunk, begun.fields
        self.is_careful = begun.is_careful
        self.task = current_app.tasks[fields["task"]]
        self.kwargs_json = fields.get("kwargs") or "{}"
        self.max_retries = _max_retries(self.task, fields)
        self.tries = dict(zip(begun.indices, begun.tries, strict=True))
        self.repairs = dict(zip(begun.indices, begun.repairs, strict=True))
        #: Items that are to be tried again, by the seconds until then.
        self.again: dict[float, list[int]] = defaultdict(list)
        self.left: list[int] = [i for i, state in zip(begun.indices, begun.states, strict=True) if state in "pra"]
        self.is_stopped = False
        self._has_items = "has_items" in fields
        self._values: dict[int, str | None] = {}
        self._backoff_s: dict[int, float] = {}

    def go(self) -> bool:
        """Run until nothing is left, time is over or somebody says so; False if another run has the chunk."""
        outcomes: list[Outcome] = []
        began = time.monotonic()
        while True:
            is_over = time.monotonic() - began > LONGEST_RUN_S
            window = [] if is_over else self.left[: self._window_size()]
            is_last = not self.left and not self.again
            place = (self.chunk.batch_id, self.chunk.number, self.chunk.attempt)
            step = batches().step(*place, outcomes, window, is_last)
            publish_callbacks(self.chunk.batch_id, step.fired)
            if step.verdict == "gone":
                return False
            self.is_stopped = step.verdict == "stop"
            if not window or self.is_stopped:
                return True
            self.left = self.left[len(window) :]
            outcomes = self._run([index for index in window if index not in step.refused])

    def _window_size(self) -> int:
        """As many as make up ``WINDOW_S``, as far as earlier items tell; one of a task that is not known yet."""
        each_s = _pace.get(self.task.name)
        if self.is_careful or each_s is None:
            return 1
        return max(1, min(MOST_IN_WINDOW, int(WINDOW_S / max(each_s, 1e-6))))

    def _run(self, indices: Sequence[int]) -> list[Outcome]:
        """The outcomes; where items take longer than those before did, only of the first: the others come next."""
        self._read(indices)
        outcomes: list[Outcome] = []
        began = time.monotonic()
        for at, index in enumerate(indices):
            if time.monotonic() - began > LONGEST_WINDOW_S:
                self.left = [*indices[at:], *self.left]
                break
            value = self._values.pop(index, None)
            outcomes.append(self._outcome(index, index if value is None else decode(value)))
        if outcomes:
            latest_s = (time.monotonic() - began) / len(outcomes)
            _pace[self.task.name] = max(latest_s, (_pace.get(self.task.name, latest_s) + latest_s) / 2)
        return outcomes

    def _read(self, indices: Sequence[int]) -> None:
        """The items' values, and those of some that follow."""
        if not self._has_items or not indices or indices[-1] in self._values:
            return
        wanted = [*indices, *self.left[:READ_AT_ONCE]]
        self._values = dict(zip(wanted, batches().values(self.chunk.batch_id, wanted), strict=True))

    def _outcome(self, index: int, item: Any) -> Outcome:
        current = Current(self.chunk.batch_id, index, self.tries[index], self.repairs[index])
        kwargs = decode(self.kwargs_json)
        try:
            result = called(self.task, current, item, kwargs)
            text = encode_bounded(result, settings().batch_result_max_bytes, "the item's result").decode()
        except Exception as exc:  # whatever an item raises is its outcome, and then it is the next one's turn
            log.debug("item %s of batch %s failed", index, current.batch_id, exc_info=True)
            return self._failure(index, item, kwargs, exc)
        self.chunk.report.completed += 1
        return Outcome(index, "c", "" if text == "null" else f"+{text}")

    def _failure(self, index: int, item: Any, kwargs: dict[str, Any], exc: Exception) -> Outcome:
        cause = exc.exc if isinstance(exc, Retry) and exc.exc is not None else exc
        text = _error_text(cause)
        if not self._is_tried_again(index, item, kwargs, exc, cause):
            self.chunk.report.failed += 1
            return Outcome(index, "f", text)
        self.chunk.report.again += 1
        self.again[self._wait_s(self.tries[index], exc)].append(index)
        return Outcome(index, "a", text)

    def _is_tried_again(self, index: int, item: Any, kwargs: dict[str, Any], exc: Exception, cause: Any) -> bool:
        tries, most = self.tries[index], self.max_retries
        if isinstance(cause, MemoryError):  # as dangerous as a death, so tried no more often
            most = settings().max_deaths - 1 if most is None else min(most, settings().max_deaths - 1)
        if (most is not None and tries >= most) or retries.is_hopeless(self.task, cause, (item,), kwargs):
            return False
        if isinstance(exc, Retry):
            return True
        return isinstance(exc, tuple(self.task.autoretry_for)) and not isinstance(
            exc, tuple(self.task.dont_autoretry_for)
        )

    def _wait_s(self, tries: int, exc: Exception) -> float:
        """Seconds until the next try: the same for all of this run that failed as often, so that they go together."""
        asked = exc.when if isinstance(exc, Retry) and isinstance(exc.when, int | float) else retries.hinted_s(exc)
        if asked is not None:
            return float(math.ceil(asked * 10) / 10)
        if tries not in self._backoff_s:
            self._backoff_s[tries] = retries.delay_s(tries, exc, self.task.default_retry_delay)
        return self._backoff_s[tries]


def called(task: Any, current: Current, item: Any, kwargs: dict[str, Any]) -> Any:
    """What the task returns for an item, called as a function in the process of its chunk's job."""
    function: Callable[..., Any] = getattr(task, "_orig_run", task.run)  # without Celery's own retrying round it
    token = _current.set(current)
    task.push_request(
        id=f"{current.batch_id}:{current.index}",
        args=(item,),
        kwargs=kwargs,
        retries=current.tries,
        called_directly=True,
        batch_item=current,
    )
    try:
        return function(item, **kwargs)
    except Ignore:
        return None
    finally:
        task.pop_request()
        _current.reset(token)


def _max_retries(task: Any, fields: Mapping[str, str]) -> int | None:
    return int(fields["max_retries"]) if fields.get("max_retries") else task.max_retries


def _halves(indices: Sequence[int]) -> list[Sequence[int]]:
    middle = -(-len(indices) // 2)
    return [half for half in (indices[:middle], indices[middle:]) if half]


def _error_text(exc: Any) -> str:
    error = describe_error(exc)
    return "-" + encode(error | {"message": error["message"][:MAX_ERROR_CHARS]}).decode()
