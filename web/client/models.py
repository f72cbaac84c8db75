"""What comes back: the contract's JSON as frozen dataclasses. Members a newer server adds are ignored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")

State = Literal["pending", "scheduled", "running", "retrying", "completed", "failed", "cancelled"]
FINAL: frozenset[State] = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is, in its own unit; ``total`` None: it does not know."""

    done: float
    total: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job's latest attempt failed: the exception's class and text."""

    type: str
    message: str


@dataclass(frozen=True, slots=True)
class Job:
    """A job at one moment. ``priority`` 0–9, 9 most urgent; times are aware, in UTC; ``result`` is any JSON."""

    job_id: str
    task: str
    queue: str
    priority: int
    state: State
    attempts: int = 0
    max_retries: int | None = None
    progress: Progress | None = None
    result: Any = None
    error: JobError | None = None
    owner: str | None = None
    app_id: str | None = None
    parent_id: str | None = None
    dead_letter_id: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing about it will change any more."""
        return self.state in FINAL


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; ``page`` counts from 1, ``pages`` is 0 for an empty list."""

    items: Sequence[T]
    total: int
    page: int
    limit: int
    pages: int


@dataclass(frozen=True, slots=True)
class FunctionResult:
    """What a function returned, and the job that ran it."""

    result: Any
    job_id: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A provider's resource as last stored; ``version`` counts its changes from 1."""

    provider: str
    type: str
    name: str
    version: int
    properties: Mapping[str, Any]
    job_id: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    id: str
    email: str
    app_id: str


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """Who is asking. ``expires_at`` None: never (an API key); ``access_token`` only right after signing in."""

    user: User
    roles: Sequence[str]
    expires_at: datetime | None = None
    csrf_token: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    """A short-lived token for sockets and server-sent events."""

    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether requests can be served now; ``checks`` says ``"ok"`` or what is wrong, by what was asked."""

    status: str
    checks: Mapping[str, str]

    @property
    def is_ready(self) -> bool:
        return self.status == "ready"
