"""The worker's side of a job under way: what Celery's own does, and nothing lost where Celery would drop the message.

Runs in the worker's main process, where the message still is. Whatever is over for good is parked with the dead
letters first and acknowledged after.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback
from billiard.exceptions import SoftTimeLimitExceeded, Terminated, TimeLimitExceeded, WorkerLostError
from celery.exceptions import Ignore, Reject, Retry
from celery.worker import state
from celery.worker.request import Request as StockRequest

from platform import children, losses, retries
from platform.documents.errors import BadPatch, InvalidDocument
from platform.errors import Expired, WorkerCrashed
from platform.jobs.ledger import ledger
from platform.leases import names
from platform.refusals import NotStarted
from platform.settings import settings
from platform.stages.answers import NotAChange

log = logging.getLogger(__name__)


#: What was asked for is no change that could ever be stored; another one might be.
INVALID = (InvalidDocument, BadPatch, NotAChange)


class OutOfMemory(Exception):
    """A task raised MemoryError; its own process goes on, and so does the worker."""


class Request(StockRequest):
    _is_parked = False

    # -- ends

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Celery's, but what is lost there is given another run or parked."""
        exc = _cause(exc_info)
        if isinstance(exc, SystemExit | KeyboardInterrupt) and not (self._already_cancelled or self._already_revoked):
            exc_info = self._worker_lost_info(exc)  # a child that left by itself is as gone as one that was killed
            exc = _cause(exc_info)
        if isinstance(exc, MemoryError):
            # Celery raises it in this process, which ends with everything it holds.
            exc_info.exception = OutOfMemory(str(exc))
        if isinstance(exc, NotStarted):
            self._settle(exc)
        elif isinstance(exc, WorkerLostError):
            if self._is_settled_as_lost(exc):
                return None
        elif _is_final(exc) and not self._park(_reason(self, exc), exc, exc_info.traceback) and isinstance(exc, Reject):
            self.give_back()  # Celery would fail the job now, whoever has it
            return None
        return super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        if not soft and not state.should_terminate:
            text = f"stopped after {timeout} s, its hard time limit"
            if not self._park("time_limit", TimeLimitExceeded(timeout), text, is_ours=True):
                state.task_ready(self)  # another worker has it: nothing of this run counts
                self.acknowledge()
                return
        super().on_timeout(soft, timeout)

    def maybe_expire(self) -> bool:
        """Celery's would also remember the id as revoked, and drop the job when it is replayed."""
        return bool(self.expires and datetime.now(UTC if self.expires.tzinfo else None) > self.expires)

    def _announce_revoked(self, reason: str, terminated: bool, signum: Any, expired: bool) -> None:
        if reason == "expired":
            self._park("expired", Expired(self.id), "", is_ours=True)
        super()._announce_revoked(reason, terminated, signum, expired)

    def _announce_cancelled(self, emit_retry: bool = True) -> None:
        """The worker stops before the job ended: it goes back, or is parked if its message is gone already."""
        super()._announce_cancelled(emit_retry)
        if self.acknowledged:
            self._park("worker_lost", WorkerCrashed(self.id, 1, "its worker was stopped"), "", is_ours=True)
        else:
            ledger().returned(self.id, names.own())

    # -- together with others (platform.stages.bundle)

    @property
    def delivery_tags(self) -> list[Any]:
        return [self.message.delivery_tag]

    @property
    def has_ended(self) -> bool:
        """Whether its end came from outside its run: it was revoked, or its worker stops."""
        return bool(self._already_revoked or self._already_cancelled)

    def give_back(self) -> None:
        """To the queue again, unfinished: whatever ended its process may have been the doing of another."""
        ledger().returned(self.id, names.own())
        state.task_ready(self)
        self.reject(requeue=True)

    # -- what becomes of the message

    @property
    def _tries(self) -> int:
        """How many tries of the job there have been before this message."""
        return int(self.request_dict.get("retries") or 0)

    def _settle(self, refusal: NotStarted) -> None:
        """A run the record refused: drop this copy of the message, but for what it still has to tell."""
        log.info("%s", refusal)
        if refusal.why == "failed":  # by a worker that died before it could park the message
            losses.park(self, "retries_exhausted", only_if_failed=True)
        elif refusal.why == "crashed":
            deaths = settings().max_deaths
            exc = WorkerCrashed(self.id, deaths, "its worker was gone without a word")
            losses.park(self, "worker_lost", exc, evidence={"deaths": deaths})
            self.task.backend.mark_as_failure(self.id, exc, request=self._context)
        elif refusal.why == "busy":
            losses.set_aside_busy(self.message)
        elif refusal.why == "limited":
            losses.set_aside_limited(self.message, refusal.limit)

    def _is_settled_as_lost(self, exc: BaseException) -> bool:
        """Give a job whose process died another run; False if it had its last one, and is parked."""
        if self._already_cancelled or self._already_revoked or state.should_terminate or self._success_was_stored():
            return False
        verdict, deaths = ledger().lost(self.id, names.own(), self._tries)
        end = children.end_of(self.worker_pid) or exc
        log.warning("job %s: its process ended (%s), %s of %s", self.id, end, deaths, settings().max_deaths)
        if verdict == "enough":
            self._park("worker_lost", WorkerCrashed(self.id, deaths, str(end)), "", is_ours=True)
            return False
        state.task_ready(self)
        if verdict == "again":
            self.reject(requeue=True)
        else:
            losses.park(self, "retries_exhausted", only_if_failed=True)
            self.acknowledge()
        return True

    def _park(self, reason: str, exc: BaseException, traceback: str, is_ours: bool = False) -> bool:
        """Park the message of a job that failed for good, with what is known of its end, once.

        A failure the child reports is in the record already; if it is not, another worker has the job. One found here
        (``is_ours``) is written with the letter. False: the job was another worker's, and nothing was parked.
        """
        if not self._is_parked:
            evidence = self._evidence(exc)
            self._is_parked = losses.park(self, reason, exc, traceback, evidence, only_if_failed=not is_ours)
        return self._is_parked

    def _evidence(self, exc: BaseException) -> dict[str, Any] | None:
        if not isinstance(exc, MemoryError | WorkerCrashed | TimeLimitExceeded):
            return None
        end = children.end_of(self.worker_pid)
        found = {
            "signal": end.signal if end else None,
            "exit_code": end.exit_code if end else None,
            "peak_memory_bytes": children.peak_memory_bytes(self.worker_pid),
            "deaths": getattr(exc, "deaths", None),
            "worker": self._hostname,
        }
        return {name: value for name, value in found.items() if value is not None}


def _cause(exc_info: ExceptionInfo) -> BaseException:
    exc = exc_info.exception
    return exc.exc if isinstance(exc, ExceptionWithTraceback) else exc


def _is_final(exc: BaseException) -> bool:
    """Whether a run that ended so was the job's last."""
    if isinstance(exc, Reject):
        return not exc.requeue
    return not isinstance(exc, Terminated | Retry | Ignore)


def _reason(request: Request, exc: BaseException) -> str:
    """The dead letter's reason for a run that ended with this error."""
    if retries.is_permanent(exc):
        return "invalid" if isinstance(exc, INVALID) else "rejected"
    if isinstance(exc, TimeLimitExceeded | SoftTimeLimitExceeded):
        return "time_limit"
    if isinstance(exc, TypeError) and not retries.accepts(request.task, request.args, request.kwargs):
        return "invalid"
    return "retries_exhausted"
