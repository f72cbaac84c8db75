"""One request and its answer, without any I/O.

An endpoint of the SDK is a generator: it yields each Request it needs, is sent the answer, and returns a model.
``Client`` and ``AsyncClient`` do no more than carry requests and answers, one blocking, one awaiting.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
import msgspec

from web.client.errors import (
    APIError,
    AuthenticationError,
    NotFoundError,
    RateLimitError,
    ServiceUnavailable,
)

T = TypeVar("T")

#: What a server waits at most for an outcome, in seconds.
MAX_WAIT_S = 30.0
IDEMPOTENT = frozenset({"GET", "PUT", "DELETE"})


@dataclass(frozen=True)
class Request:
    """What to send. ``wait_s``: how much longer than usual the server may take, because it was asked to wait.

    ``accepted``: statuses beside 2xx that are an answer and not an error.
    """

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    accepted: tuple[int, ...] = ()

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it twice does no more than sending it once."""
        return self.method in IDEMPOTENT or "Idempotency-Key" in self.headers


Flow = Generator[Request, httpx2.Response, T]


def path(*segments: str) -> str:
    """An address made of what users chose, quoted. Raises ValueError for what could only name another address."""
    for segment in segments:
        if segment in ("", ".", "..") or "/" in segment:
            raise ValueError(f"{segment!r} cannot be part of an address; it must not be empty, '.', '..' or hold a '/'")
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


def preferences(wait_s: float | None, idempotency_key: str | None = None) -> dict[str, Any]:
    """``headers`` and ``wait_s`` of a Request that may wait for its outcome and may be safe to repeat."""
    headers = {}
    if wait_s is not None:
        headers["Prefer"] = f"wait={min(wait_s, MAX_WAIT_S):g}"
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    return {"headers": headers, "wait_s": min(wait_s or 0.0, MAX_WAIT_S)}


def read(response: httpx2.Response, model: type[T]) -> T:
    """The answer's body. Raises APIError if it is not what the API answers."""
    try:
        return msgspec.json.decode(response.content, type=model)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as exc:
        message = f"{response.request.url} did not answer as the platform does ({exc}); is base_url right?"
        raise APIError(message, response.status_code) from exc


def checked(response: httpx2.Response, request: Request) -> httpx2.Response:
    """The response, if it is an answer. Raises APIError."""
    if response.is_success or response.status_code in request.accepted:
        return response
    problem = _problem(response)
    error = _error(_message(response, problem), response)
    error.problem = problem
    raise error


def _error(message: str, response: httpx2.Response) -> APIError:
    status = response.status_code
    made: dict[int, Callable[[], APIError]] = {
        401: lambda: AuthenticationError(message, 401),
        403: lambda: AuthenticationError(message, 403),
        404: lambda: NotFoundError(message),
        429: lambda: RateLimitError(message, _retry_after(response)),
        503: lambda: ServiceUnavailable(message, _retry_after(response)),
    }
    return made.get(status, lambda: APIError(message, status))()


def _problem(response: httpx2.Response) -> dict[str, Any] | None:
    with suppress(msgspec.DecodeError, UnicodeDecodeError):
        document = msgspec.json.decode(response.content)
        if isinstance(document, dict) and isinstance(document.get("detail"), str):
            return document
    return None


def _message(response: httpx2.Response, problem: dict[str, Any] | None) -> str:
    if problem is None:
        return f"{response.request.method} {response.request.url} was answered {response.status_code} without a reason"
    found = [_sentence(error) for error in problem.get("errors") or [] if isinstance(error, dict)]
    return ": ".join([problem["detail"], "; ".join(found)]) if found else problem["detail"]


def _sentence(error: Mapping[str, Any]) -> str:
    where = ".".join(map(str, error.get("loc") or []))
    return f"{where}: {error.get('msg')}" if where else str(error.get("msg"))


def _retry_after(response: httpx2.Response) -> float | None:
    """Seconds or a date (RFC 9110, 10.2.3); None for neither."""
    text = response.headers.get("Retry-After", "")
    with suppress(ValueError):
        seconds = float(text)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    with suppress(ValueError, TypeError):
        moment = parsedate_to_datetime(text)
        return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    return None
