"""What the SDK raises: one tree, every leaf picklable, the message one sentence to show to a person."""

from __future__ import annotations

from typing import Any

from web.client.models import Batch, Job


class AppError(Exception):
    """Anything that keeps a request from its answer."""


class APIError(AppError):
    """The server answered with an error.

    ``status_code`` is the HTTP status; ``problem`` the problem document (RFC 9457), or None if something on the
    way answered in another form.
    """

    def __init__(self, message: str, status_code: int):
        super().__init__(message, status_code)
        self.message = message
        self.status_code = status_code
        self.problem: dict[str, Any] | None = None

    def __str__(self) -> str:
        return self.message

    @property
    def errors(self) -> list[dict[str, Any]]:
        """What does not fit in what was sent: ``[{"loc": ["body", "priority"], "msg": "…"}, …]``."""
        return (self.problem or {}).get("errors") or []

    @property
    def request_id(self) -> str | None:
        """What to look for in the server's log."""
        return (self.problem or {}).get("request_id")


class AuthenticationError(APIError):
    """401: no credential, or one that does not hold; 403: it may not do this."""

    def __init__(self, message: str, status_code: int = 401):
        super().__init__(message, status_code)


class NotFoundError(APIError):
    """404: it is not there, or belongs to somebody else."""

    def __init__(self, message: str, status_code: int = 404):
        super().__init__(message, status_code)


class RateLimitError(APIError):
    """429: too many requests; ``retry_after`` in seconds, None if the server did not say."""

    def __init__(self, message: str, retry_after: float | None = None):
        super().__init__(message, 429)
        self.args = (message, retry_after)
        self.retry_after = retry_after


class ServiceUnavailable(APIError):
    """503: the broker or a store is away, and nothing was enqueued; ``retry_after`` in seconds, None if unknown."""

    def __init__(self, message: str, retry_after: float | None = None):
        super().__init__(message, 503)
        self.args = (message, retry_after)
        self.retry_after = retry_after


class ServerUnreachable(AppError):
    """No answer came: refused, cut, or not in time. Whether the request was carried out is not known."""


class BulkFailed(AppError):
    """Of many jobs a part was submitted: ``job_ids``, in order; the cause is what became of the next request.

    The same items with ``idempotency_key`` may be submitted again: who is in already is not submitted twice.
    """

    def __init__(self, message: str, job_ids: list[str], idempotency_key: str):
        super().__init__(message, job_ids, idempotency_key)
        self.message, self.job_ids, self.idempotency_key = message, job_ids, idempotency_key

    def __str__(self) -> str:
        return self.message


class WaitTimeout(AppError, TimeoutError):
    """A job, or a batch, has not ended in time; it goes on. ``job`` or ``batch`` is its state as last seen."""

    def __init__(self, message: str, seen: Job | Batch):
        super().__init__(message, seen)
        self.message = message
        self.seen = seen

    @property
    def job(self) -> Job:
        return self.seen  # type: ignore[return-value]

    @property
    def batch(self) -> Batch:
        return self.seen  # type: ignore[return-value]

    def __str__(self) -> str:
        return self.message
