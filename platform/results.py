"""The result backend: outcomes live in the job's record.

Celery commits an outcome through its backend, so this is where the last transition of a job is written, with its
result, in one call; a result that is not JSON or too large is refused here, and Celery then fails the job.
``AsyncResult`` reads the record; waiting for it subscribes to the job's channel only when somebody waits (the stock
Redis backend subscribes on every ``delay()``). Groups, chords and their counters are the stock Redis backend's.
"""

from __future__ import annotations

import builtins
import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded
from celery import exceptions as celery_exceptions
from celery import states
from celery.app.task import Context
from celery.backends import redis as stock
from celery.exceptions import Reject, TimeoutError
from kombu.exceptions import EncodeError

from platform import endpoints, errors, store
from platform.errors import Expired, JobCancelled, PlatformError, UnknownJob
from platform.jobs.facts import NewJob, Refused
from platform.jobs.ledger import ANY_ATTEMPT, ledger
from platform.jobs.record import Job
from platform.jobs.states import State
from platform.queues import DEFAULT_PRIORITY
from platform.serialization import NotJSON, encodable, encode, encode_bounded
from platform.settings import settings

log = logging.getLogger(__name__)

MAX_ERROR_CHARS = 2_000
MAX_FACTS_BYTES = 8_000
COMMAND_TIMEOUT_S = 30.0

CELERY_STATE = {
    State.PENDING: states.PENDING,
    State.SCHEDULED: states.PENDING,
    State.RUNNING: states.STARTED,
    State.RETRYING: states.RETRY,
    State.COMPLETED: states.SUCCESS,
    State.FAILED: states.FAILURE,
    State.CANCELLED: states.REVOKED,
}


class Together:
    """Jobs of one call that have completed, told in one round trip; a request carries it as ``together``."""

    def __init__(self) -> None:
        self._outcomes: list[tuple[str, bytes, str]] = []

    def complete(self, task_id: str, result_json: bytes, attempt: str) -> None:
        self._outcomes.append((task_id, result_json, attempt))

    def tell(self) -> None:
        """Raises BrokerUnavailable; then none may be known to have completed."""
        answers = ledger().complete_all(self._outcomes) if self._outcomes else []
        for (task_id, *_), refused in zip(self._outcomes, answers, strict=True):
            _report(task_id, refused, State.COMPLETED)


class ResultConsumer(stock.ResultConsumer):
    """Waits on jobs' channels; a message there is only the new state, the outcome is read from the record."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._get_key_for_task = lambda task_id: ledger().channel(task_id)
        self._decode_result = lambda payload: {"status": CELERY_STATE[State(_text(payload))]}

    def on_state_change(self, meta: dict[str, Any], message: Any) -> None:
        if message is not None:
            job_id = _text(message["channel"]).removeprefix(ledger().channel(""))
            meta = self.backend.get_task_meta(job_id, cache=False)
        super().on_state_change(meta, message)

    def _reconnect_pubsub(self) -> None:
        # The stock one reads every awaited key as a string; ours are hashes. Whoever waits asks the record itself.
        awaited = set(self.subscribed_to)
        self.subscribed_to.clear()
        super()._reconnect_pubsub()
        for channel in awaited:
            job_id = channel.removeprefix(ledger().channel(""))
            self._consume_from(job_id)
            super().on_state_change(self.backend.get_task_meta(job_id), None)


class JobBackend(stock.RedisBackend):
    """See the module. Chord counters and saved groups use keys of their own under the platform's prefix."""

    ResultConsumer = ResultConsumer

    def _create_client(self, **params: Any) -> Any:
        config = settings()
        endpoints.ensure_embedded(config)
        # Bytes, not text: the stock chord code decodes by itself.
        return store.connect(endpoints.redis_url(config), config, timeout_s=COMMAND_TIMEOUT_S, as_text=False)

    def as_uri(self, include_password: bool = False) -> str:
        return "job records"

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Nothing to do until somebody waits."""

    # -- outcomes, committed by Celery's tracer and by the worker's main process

    def mark_as_done(
        self, task_id: str, result: Any, request: Any = None, store_result: bool = True, state: str = states.SUCCESS
    ) -> None:
        if not _is_eager(request):
            kept = result if store_result else None
            data = encode_bounded(kept, settings().result_max_bytes, "the result")
            _report_withheld_progress(task_id, request)
            together = getattr(request, "together", None)
            if together is not None:
                together.complete(task_id, data, _attempt(request))
            else:
                _report(task_id, ledger().complete(task_id, data, _attempt(request)), State.COMPLETED)
        super().mark_as_done(task_id, result, request=request, store_result=False, state=state)

    def mark_as_failure(self, task_id: str, exc: BaseException, *args: Any, request: Any = None, **kwargs: Any) -> None:
        if not _is_eager(request):
            self._record_failure(task_id, exc, request)
        # Chords, the rest of a chain and error callbacks; it calls store_result for a chain's later members only.
        super().mark_as_failure(task_id, exc, *args, request=request, **kwargs)

    def end_followers(self, request: Any, exc: BaseException) -> None:
        """Tell the rest of a chain, and a chord, that a job which will never run has ended."""
        super().mark_as_failure(request.id, exc, request=request, call_errbacks=False)

    def end_unpublished(self, job: NewJob, message: Any, exc: PlatformError) -> None:
        """A job that was not accepted, though its id is known: it fails at once, and what waits for it is told."""
        ledger().fail(job.job_id, describe_error(exc), unpublished=job)
        request = Context(message.headers | message.body[2])
        super().mark_as_failure(job.job_id, exc, request=request)

    def mark_as_retry(self, task_id: str, exc: Any, *args: Any, **kwargs: Any) -> None:
        """Recorded by the ``task_retry`` signal, which also fires where results are ignored."""

    def mark_as_revoked(self, task_id: str, reason: str = "", request: Any = None, **kwargs: Any) -> None:
        if reason == "expired":
            exc: PlatformError = Expired(task_id)
            _report(task_id, ledger().fail(task_id, describe_error(exc)), State.FAILED)
        else:
            exc = JobCancelled(task_id)
            _report(task_id, ledger().cancelled(task_id), State.CANCELLED)
        if request:
            self.end_followers(request, exc)

    def store_result(self, task_id: str, result: Any, state: str, *args: Any, request: Any = None, **kw: Any) -> Any:
        """Reached for the later members of a chain that ended: they were never published, yet they have an outcome."""
        if state == states.FAILURE and hasattr(request, "subtask_type"):
            self._record_failure(task_id, result, request)
        return result

    def _record_failure(self, task_id: str, exc: BaseException, request: Any) -> None:
        attempt = _attempt(request)
        _report_withheld_progress(task_id, request)
        unpublished = NewJob(task_id, getattr(request, "task", None) or "", "", DEFAULT_PRIORITY)
        if isinstance(exc, JobCancelled):
            _report(task_id, ledger().cancelled(task_id, attempt, unpublished), State.CANCELLED)
        else:
            _report(task_id, ledger().fail(task_id, describe_error(exc), attempt, unpublished), State.FAILED)

    # -- questions

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        try:
            job = ledger().get(task_id)
        except UnknownJob:
            return {"task_id": task_id, "status": states.PENDING, "result": None}
        return self._meta(job)

    def get_task_meta(self, task_id: str, cache: bool = True) -> dict[str, Any]:
        return self._get_task_meta_for(task_id)

    def get_many(
        self,
        task_ids: Any,
        timeout: float | None = None,
        interval: float = 0.5,
        max_iterations: int | None = None,
        **_: Any,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Outcomes of many jobs as they come: ``(id, meta)``. Raises celery's TimeoutError."""
        waiting, round_number = set(task_ids), 0
        deadline = None if timeout is None else time.monotonic() + timeout
        while waiting:
            for job in ledger().get_many(sorted(waiting)):
                if job.is_final:
                    waiting.discard(job.job_id)
                    yield job.job_id, self._meta(job)
            round_number += 1
            if max_iterations and round_number >= max_iterations:
                return
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"{len(waiting)} jobs had not ended after {timeout} s")
            time.sleep(interval)

    def forget(self, task_id: str) -> None:
        """Records pass by their own retention; only the waiting ends."""
        self.result_consumer.cancel_for(task_id)

    def _meta(self, job: Job) -> dict[str, Any]:
        failed = job.state in (State.FAILED, State.RETRYING, State.CANCELLED)
        error = job.error or {"type": "TaskRevokedError", "message": "cancelled"}
        result = self.exception_to_python(_exception_meta(error)) if failed else job.result
        return {
            "task_id": job.job_id,
            "status": CELERY_STATE[job.state],
            "result": result,
            "traceback": None,
            "children": [],
            "date_done": job.finished_at,
        }


def describe_error(exc: Any) -> dict[str, Any]:
    """An error as its record keeps it: class name and message, the message cut at 2 000 characters, always UTF-8.

    With ``facts``, what one of the platform's errors says to programs, unless they are more than 8 000 bytes of JSON.
    """
    if type(exc) is EncodeError and exc.__cause__ is not None:
        exc = exc.__cause__
    if isinstance(exc, TimeLimitExceeded):
        return {"type": "TimeLimitExceeded", "message": f"it was stopped after {exc.args[0]} s, its hard time limit"}
    if isinstance(exc, SoftTimeLimitExceeded):
        return {"type": "SoftTimeLimitExceeded", "message": "it ran longer than its soft time limit"}
    # What could not be pickled on its way from a child comes wrapped, with the name of what it was.
    kind = getattr(exc, "exc_cls_name", None) or type(exc).__name__
    return {"type": kind, "message": encodable(_told(exc))[:MAX_ERROR_CHARS]} | _facts(exc)


def _told(exc: Any) -> str:
    if isinstance(exc, Reject):  # whose own text is that of a tuple
        return "the task gave no reason" if exc.reason is None else str(exc.reason)
    return str(exc)


def _facts(exc: Any) -> dict[str, Any]:
    facts = getattr(exc, "facts", None) if isinstance(exc, PlatformError) else None
    with suppress(NotJSON):
        return {"facts": facts} if facts and len(encode(facts)) <= MAX_FACTS_BYTES else {}
    return {}


def _exception_meta(error: dict[str, Any]) -> dict[str, Any]:
    """What Celery makes an exception of: the class if it is a well-known one, else one made up under that name."""
    known = (builtins, celery_exceptions, errors)
    home = next((module for module in known if isinstance(getattr(module, error["type"], None), type)), builtins)
    return {"exc_type": error["type"], "exc_module": home.__name__, "exc_message": [error["message"]]}


def _report(task_id: str, refused: Refused | None, wanted: State) -> None:
    if refused is not None and refused.state != wanted:
        log.warning("job %s is %s already; a later outcome of it was dropped", task_id, refused.state)


def _report_withheld_progress(task_id: str, request: Any) -> None:
    """Reports that came too quickly after one another are withheld; the last of them counts."""
    withheld = getattr(request, "withheld_progress", None)
    if withheld is not None:
        ledger().progress(task_id, _attempt(request), *withheld)


def _attempt(request: Any) -> str:
    return getattr(request, "attempt", None) or ANY_ATTEMPT


def _is_eager(request: Any) -> bool:
    return bool(getattr(request, "is_eager", False))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
