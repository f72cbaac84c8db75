"""What comes back: the contract's JSON as frozen dataclasses. Members a newer server adds are ignored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")

State = Literal["pending", "scheduled", "running", "retrying", "completed", "failed", "cancelled"]
BatchState = Literal["pending", "running", "completed", "failed", "cancelled"]
ItemState = Literal["pending", "running", "completed", "failed", "cancelled"]
LetterState = Literal["dead", "replayed", "discarded"]
DeathReason = Literal[
    "retries_exhausted", "rejected", "worker_lost", "time_limit", "expired", "unregistered", "undecodable", "invalid"
]
Missed = Literal["skip", "once", "all"]
Overlap = Literal["allow", "skip", "replace"]
FINAL: frozenset[State] = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is, in its own unit; ``total`` None: it does not know."""

    done: float
    total: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job's latest attempt failed: the exception's class and text.

    ``facts`` is what it says to programs, such as ``{"errors": [{"loc": ["title"], "msg": "…"}], …}``.
    """

    type: str
    message: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """A job at one moment. ``priority`` 0–9, 9 most urgent; times are aware, in UTC; ``result`` is any JSON.

    ``eta`` is the time a scheduled or retrying job waits for; ``waiting_for`` is what else keeps one from being handed
    to a worker, such as ``limit task:shop.sync:ann``.
    """

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
    eta: datetime | None = None
    waiting_for: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing about it will change any more."""
        return self.state in FINAL


@dataclass(frozen=True, slots=True)
class BatchCallback:
    """What runs at a batch's end; ``job_id`` None: it was not decided that it does."""

    task: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    job_id: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch at one moment; times are aware, in UTC.

    ``done`` items have ended: completed, failed or cancelled. ``rate_per_s`` is of the last seconds, ``eta_s`` how long
    it takes at that rate, None where that cannot be told. ``children`` come only where one batch is asked for.
    """

    batch_id: str
    task: str
    state: BatchState
    total: int
    pending: int = 0
    running: int = 0
    done: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    rate_per_s: float | None = None
    eta_s: float | None = None
    open: bool = False
    cancel_requested: bool = False
    priority: int = 5
    max_retries: int | None = None
    chunk_size: int | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    owner: str | None = None
    app_id: str | None = None
    parent_id: str | None = None
    on_complete: BatchCallback | None = None
    on_success: BatchCallback | None = None
    on_failure: BatchCallback | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    children: Sequence[Batch] = ()

    @property
    def is_final(self) -> bool:
        """Whether all its items have ended; what failed may be run again."""
        return self.state in FINAL


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One item of a batch; ``result`` once it has completed, ``error`` of its latest attempt that failed."""

    index: int
    item: Any
    state: ItemState
    attempts: int = 0
    result: Any = None
    error: JobError | None = None


@dataclass(frozen=True, slots=True)
class DeathError:
    """Why a message died; ``traceback`` is empty where there is none."""

    type: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message as it came: ``base64`` of its ``bytes`` bytes; ``headers`` None for bytes that are no message."""

    base64: str = field(repr=False)
    bytes: int
    content_type: str | None = None
    headers: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that will not be delivered again by itself; times are aware, in UTC.

    ``evidence`` is of a death by force (``signal``, ``exit_code``, ``peak_memory_bytes``, ``deaths``). ``original``
    (the arguments before they were edited), ``message`` and ``history`` come only where one letter is asked for.
    """

    dead_letter_id: str
    job_id: str | None
    task: str
    queue: str
    reason: DeathReason
    error: DeathError
    state: LetterState
    dead_at: datetime
    first_failed_at: datetime
    attempts: int = 0
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    replayed: int = 0
    evidence: Mapping[str, Any] | None = None
    owner: str | None = None
    app_id: str | None = None
    original: Mapping[str, Any] | None = None
    message: RawMessage | None = None
    history: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Schedule:
    """A task on a clock: by ``cron`` in ``timezone``, or every ``every_s`` seconds; times are aware, in UTC.

    ``next_run_at`` is None while it is paused. ``last_error`` says why the last run made no job, until one does.
    ``source`` "code": of a module's beat_schedule, which may have neither cron nor interval.
    """

    id: str
    name: str
    task: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    queue: str | None = None
    priority: int | None = None
    cron: str | None = None
    every_s: float | None = None
    timezone: str = "UTC"
    missed: Missed = "once"
    overlap: Overlap = "allow"
    source: Literal["api", "code"] = "api"
    paused: bool = False
    owner: str | None = None
    app_id: str | None = None
    created_at: datetime | None = None
    next_run_at: datetime | None = None
    last_run_at: datetime | None = None
    last_job_id: str | None = None
    last_error: str | None = None
    runs: int = 0
    missed_runs: int = 0


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
class Document(Generic[T]):
    """A document as it was stored last; ``version`` counts its changes from 1, times are aware, in UTC.

    ``fields`` are its model's, as a dict or as what ``client.model(type, fields=…)`` was given.
    """

    type: str
    id: str
    version: int
    fields: T
    app_id: str
    user_id: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Accepted:
    """A change that was accepted and not waited for: the document's id, and the job to wait for."""

    id: str
    job_id: str


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
