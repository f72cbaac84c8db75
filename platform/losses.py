"""What a worker does with a message it cannot bring to a good end: to the dead letters, or aside until later.

Where the message is held under a lease on the record store's own server, keeping it and ending its delivery are one
step; elsewhere it is kept first and acknowledged after, under an id that makes doing it twice harmless.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from celery import current_app
from celery.app.task import Context

from platform import clock
from platform.deadletters.death import Death
from platform.deadletters.letter import Reason
from platform.deadletters.register import dead_letters
from platform.delayed.due import due_ms
from platform.delayed.schedule import delayed
from platform.envelope import Envelope, of_message
from platform.errors import PlatformError, UnknownJob
from platform.jobs.facts import Refused
from platform.jobs.ledger import ledger
from platform.jobs.states import State
from platform.leases.holding import held_in
from platform.results import describe_error
from platform.task import GIVEN_BACK_HEADER

#: Whoever waits under a limit is called when it is its turn; should that ever be missed, it asks again after this long.
ASK_AGAIN_S = 600.0
#: How long a copy of a job waits whose first is being run by a worker that has lost its connection, in seconds.
BUSY_S = 1.0
#: How long a job of an unknown task waits, the first time and the following ones, in seconds.
UNKNOWN_S = (1.0, 2.0, 4.0, 8.0)
UNKNOWN_HEADER = "unknown_tries"


class BadMessage(PlatformError):
    """The bytes are no message of a task, or one that cannot be run."""


def park(
    request: Any,
    reason: str,
    exc: BaseException | None = None,
    traceback: str = "",
    evidence: dict[str, Any] | None = None,
    only_if_failed: bool = False,
) -> bool:
    """Keep the message of a request with the dead letters; the job fails with it, if it has not yet.

    Without ``exc`` the error is the record's. False, and nothing kept: the delivery was given to another worker, the
    job ended otherwise, or, with ``only_if_failed``, has not failed.
    """
    error = _recorded_error(request.id) if exc is None else describe_error(exc) | {"traceback": str(traceback or "")}
    return _keep(request.message, Reason(reason), error, evidence, only_if_failed)


def park_message(message: Any, reason: str, exc: BaseException) -> None:
    """Keep a message that no task has seen, as it came, and tell whoever waits for its job."""
    is_kept = _keep(message, Reason(reason), describe_error(exc), None, only_if_failed=False)
    if is_kept and reason != Reason.UNDECODABLE:
        tell_followers(message.headers, message.payload, exc)


def tell_followers(headers: Mapping[str, Any], body: Any, exc: BaseException) -> None:
    """Tell the rest of a chain, and a chord, of a job whose message no worker could run."""
    embed = body[2] if isinstance(body, list | tuple) and len(body) == 3 and isinstance(body[2], Mapping) else {}
    if embed.get("chain") or embed.get("chord"):
        current_app.backend.end_followers(Context(dict(headers) | dict(embed)), exc)


def _keep(
    message: Any, reason: Reason, error: dict[str, str], evidence: dict[str, Any] | None, only_if_failed: bool
) -> bool:
    headers = message.headers if isinstance(message.headers, dict) else {}
    envelope = of_message(message)
    death = Death(
        reason=reason,
        error=error,
        message=envelope.as_text(),
        job_id=_text(headers.get("id")),
        task=_text(headers.get("task")),
        queue=envelope.queue,
        attempts=_count(headers.get("retries")),
        priority=envelope.priority,
        owner=_text(headers.get("owner")),
        app_id=_text(headers.get("app_id")),
        parent_id=_text(headers.get("parent_id")),
        evidence=evidence,
    )
    held = "" if message.acknowledged else held_in(message.delivery_tag)  # a task may acknowledge early
    tag = str(message.delivery_tag or "")
    answer = dead_letters().park(death, held=held, tag=tag, only_if_held=bool(held), only_if_failed=only_if_failed)
    return not isinstance(answer, Refused)


def set_aside_limited(message: Any, limit: str) -> None:
    """Keep a message in the schedule until its job is called under ``limit``; acknowledge it after.

    It is back at its expiry at the latest, to become a dead letter then.
    """
    expires = message.headers.get("expires")
    expires_ms = (due_ms(eta=expires) or clock.now_ms()) if expires else math.inf
    _keep_until(message, of_message(message), int(min(expires_ms, in_(ASK_AGAIN_S))), limit)


def has_to_wait(message: Any) -> bool:
    """Whether a sound message names a time to come; a worker would keep it in its memory until then."""
    eta = message.headers.get("eta")
    return bool(eta) and due_ms(eta=eta) is not None


def set_aside_until_eta(message: Any) -> None:
    """Keep such a message in the schedule; acknowledge it after."""
    until = due_ms(eta=message.headers["eta"]) or clock.now_ms()
    _keep_until(message, of_message(message).with_headers(eta=None), until)


def set_aside_busy(message: Any) -> None:
    """The same for a copy of a job that another worker runs: should that one die, the copy is what is left of it."""
    _keep_until(message, of_message(message).with_headers(**{GIVEN_BACK_HEADER: True}), in_(BUSY_S))


def set_aside_unknown(message: Any, wait_s: float) -> None:
    """The same for a message whose task is not known here, which is noted in its headers."""
    envelope = of_message(message)
    tries = _count(envelope.headers.get(UNKNOWN_HEADER)) + 1
    _keep_until(message, envelope.with_headers(**{UNKNOWN_HEADER: tries}), in_(wait_s))


def in_(seconds: float) -> int:
    """So many seconds from now, in milliseconds since 1970."""
    return clock.now_ms() + int(seconds * 1000)


def _keep_until(message: Any, envelope: Envelope, due_ms: int, limit: str = "") -> None:
    tag = message.delivery_tag
    delayed().put(envelope.headers["id"], envelope, due_ms, held_in(tag), str(tag), limit)


def next_wait_for_unknown(message: Any) -> float | None:
    """How long a message of an unknown task waits now; None when it has waited often enough."""
    tries = _count(message.headers.get(UNKNOWN_HEADER))
    return UNKNOWN_S[tries] if tries < len(UNKNOWN_S) else None


def _recorded_error(job_id: str) -> dict[str, str]:
    try:
        job = ledger().get(job_id)
    except UnknownJob:
        return {"type": State.FAILED, "message": "its record is gone"}
    return job.error or {"type": State.FAILED, "message": "it failed without a word"}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
