"""Errors as RFC 9457 ``application/problem+json``: what is wrong, where, and what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import redis
from flask import Flask, Response, current_app, g, request
from kombu.exceptions import OperationalError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from platform import serialization
from platform.batches.errors import BatchOver, InvalidBatch, NothingFailed, UnknownBatch
from platform.database import DatabaseUnavailable
from platform.deadletters.letter import NotDead, NotEditable, NotReplayable, UnknownLetter
from platform.documents.errors import ChangeRefused
from platform.errors import (
    NotUnique,
    PlatformError,
    QueueMadeOtherwise,
    QueueNotServed,
    UnknownJob,
    UnknownQueue,
)
from platform.problems import CONTENT_TYPE, RETRY_AFTER_S, document
from platform.schedules.errors import BadSchedule, ScheduleConflict, UnknownSchedule
from platform.settings import settings
from tasks.modules import UnknownFunction
from tasks.offload import InvalidProperties, UnknownAction, UnknownProvider
from tasks.resources import UnknownResource
from tasks.signatures import InvalidArguments

log = logging.getLogger(__name__)

AWAY = (OperationalError, redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError, DatabaseUnavailable)


class Problem(Exception):
    """An answer that is an error. ``errors`` is a list of ``{"loc": [...], "msg": ...}``."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})


def answer(problem: Problem) -> Response:
    body = document(problem.status, problem.detail, problem.errors or (), getattr(g, "request_id", None))
    return Response(serialization.encode(body), problem.status, problem.headers, content_type=CONTENT_TYPE)


def from_exception(exc: Exception) -> Problem:
    """The problem an exception means to whoever sent the request; 500, with nothing of its text, if none is known."""
    if isinstance(exc, Problem):
        return exc
    for kind, make in _MEANING.items():
        if isinstance(exc, kind):
            return make(exc)
    return _unexpected(exc)


def _from_werkzeug(exc: HTTPException) -> Problem:
    status = exc.code or 500
    details = {
        404: f"there is nothing at {request.path}; /docs lists what there is",
        405: f"{request.method} is not possible at {request.path}",
    }
    headers = {name: value for name, value in exc.get_headers() if name == "Allow"}
    return Problem(status, details.get(status, exc.description or HTTPStatus(status).phrase), headers=headers)


def _unavailable(exc: Exception) -> Problem:
    log.warning("answering 503: %s", exc)
    # Not the exception's words: they name the address.
    what = "database" if isinstance(exc, DatabaseUnavailable) else "broker"
    detail = f"the {what} is away and nothing was accepted; try again shortly, with an Idempotency-Key to be safe"
    return Problem(503, detail, headers={"Retry-After": str(RETRY_AFTER_S)})


def _made_otherwise(exc: Exception) -> Problem:
    log.error("answering 503: %s", exc)
    detail = (
        "the queue on the broker is of another kind than PLATFORM_QUEUE_TYPE; nothing was accepted, tell an operator"
    )
    return Problem(503, detail, headers={"Retry-After": str(RETRY_AFTER_S)})


def _unexpected(exc: Exception) -> Problem:
    log.error("request %s failed", getattr(g, "request_id", None), exc_info=exc)
    shown = (
        f"{type(exc).__name__}: {exc}" if settings().debug else "an unexpected error; the log has it under request_id"
    )
    return Problem(500, shown)


def _too_large(exc: Exception) -> Problem:
    name = getattr(getattr(g, "endpoint", None), "most_bytes", "body_max_bytes")
    return Problem(413, f"the body is larger than {getattr(settings(), name)} bytes (PLATFORM_{name.upper()})")


def _not_found(exc: Exception) -> Problem:
    return Problem(404, str(exc))


def _conflict(exc: Exception) -> Problem:
    return Problem(409, str(exc))


def _refused(exc: Any) -> Problem:
    return Problem(exc.status, str(exc))


def _not_unique(exc: Exception) -> Problem:
    return Problem(409, "the task is unique, and another job stands for this call")  # whose job, is not everybody's


def _invalid(exc: Exception) -> Problem:
    return Problem(
        422, "the arguments do not fit", errors=getattr(exc, "problems", None) or [{"loc": [], "msg": str(exc)}]
    )


def _bad_schedule(exc: Any) -> Problem:
    errors = [{**problem, "loc": ["body", *problem["loc"]]} for problem in exc.problems]
    return Problem(422, "the body does not fit", errors=errors)


def _invalid_batch(exc: Any) -> Problem:
    problems = [{**one, "loc": ["body", *one["loc"]]} for one in exc.problems]
    return Problem(422, "the batch cannot be", errors=problems)


# The first that fits counts.
_MEANING: dict[Any, Callable[[Any], Problem]] = {
    RequestEntityTooLarge: _too_large,
    HTTPException: _from_werkzeug,
    (InvalidArguments, InvalidProperties): _invalid,
    InvalidBatch: _invalid_batch,
    (
        UnknownJob,
        UnknownBatch,
        UnknownLetter,
        UnknownQueue,
        UnknownFunction,
        UnknownProvider,
        UnknownAction,
        UnknownResource,
        UnknownSchedule,
    ): _not_found,
    BadSchedule: _bad_schedule,
    ChangeRefused: _refused,
    NotUnique: _not_unique,
    (
        NotDead,
        NotEditable,
        NotReplayable,
        QueueNotServed,
        ScheduleConflict,
        BatchOver,
        NothingFailed,
    ): _conflict,
    QueueMadeOtherwise: _made_otherwise,
    AWAY: _unavailable,
}


def register(app: Flask) -> None:
    """Make every error of an application a problem document."""

    @app.errorhandler(Exception)
    def handle(exc: Exception) -> Response:
        if current_app.testing and not isinstance(exc, (Problem, HTTPException, PlatformError, *AWAY)):
            raise exc
        return answer(from_exception(exc))
