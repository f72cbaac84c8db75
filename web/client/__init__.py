"""The SDK: typed access to the platform's HTTP API, needing neither Flask nor Celery.

>>> with Client("http://127.0.0.1:8000", api_key="pk_…") as client:
...     job = client.jobs.submit("tasks.files.count", "/a/file", priority=9)
...     print(client.jobs.wait(job.job_id, timeout_s=10).result)
"""

from web.client.awaiting import AsyncClient
from web.client.blocking import Client
from web.client.errors import (
    APIError,
    AppError,
    AuthenticationError,
    NotFoundError,
    RateLimitError,
    ServerUnreachable,
    ServiceUnavailable,
    WaitTimeout,
)
from web.client.models import (
    Accepted,
    DeadLetter,
    DeathError,
    Document,
    FunctionResult,
    Job,
    JobError,
    Page,
    Progress,
    RawMessage,
    Readiness,
    Resource,
    SessionInfo,
    Token,
    User,
)

__all__ = [
    "APIError",
    "Accepted",
    "AppError",
    "AsyncClient",
    "AuthenticationError",
    "Client",
    "DeadLetter",
    "DeathError",
    "Document",
    "FunctionResult",
    "Job",
    "JobError",
    "NotFoundError",
    "Page",
    "Progress",
    "RateLimitError",
    "RawMessage",
    "Readiness",
    "Resource",
    "ServerUnreachable",
    "ServiceUnavailable",
    "SessionInfo",
    "Token",
    "User",
    "WaitTimeout",
]
