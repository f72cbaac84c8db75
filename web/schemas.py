"""The bodies, queries and answers of the API, as pydantic models: what is checked is what ``/docs`` shows."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from platform.jobs.states import State

MAX_ARGUMENTS = 10_000
StateName = Literal["pending", "scheduled", "running", "retrying", "completed", "failed", "cancelled"]


def _whole(value: object) -> object:
    """JSON Schema calls 9.0 an integer; strict pydantic does not."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# The validator stands after Field: before it, the bounds would be missing from the schema.
Priority = Annotated[int, Field(ge=0, le=9, description="0–9, 9 most urgent; default 5"), BeforeValidator(_whole)]
Retries = Annotated[int, Field(ge=0, le=1000), BeforeValidator(_whole)]
Seconds = Annotated[float, Field(ge=0, le=31_536_000)]


class Body(BaseModel):
    """A request body: unknown members are an error."""

    model_config = ConfigDict(extra="forbid")


class JobRequest(Body):
    """A job to submit. ``countdown`` and ``expires`` are seconds from now; ``eta`` is a time with its zone."""

    task: str = Field(min_length=1, max_length=255, examples=["tasks.files.count"])
    args: list[Any] = Field([], max_length=MAX_ARGUMENTS)
    kwargs: dict[str, Any] = Field({}, max_length=MAX_ARGUMENTS)
    queue: str | None = None
    priority: Priority | None = None
    countdown: Seconds | None = None
    eta: datetime | None = None
    expires: Seconds | datetime | None = None
    max_retries: Retries | None = None


class Progress(BaseModel):
    done: float
    total: float | None
    message: str


class JobError(BaseModel):
    type: str
    message: str


class JobAnswer(BaseModel):
    """A job as it is now."""

    job_id: str
    task: str
    queue: str
    priority: int
    state: State
    attempts: int
    max_retries: int | None
    progress: Progress | None
    result: Any
    error: JobError | None
    owner: str | None
    app_id: str | None
    parent_id: str | None
    dead_letter_id: str | None
    created_at: str | None
    started_at: str | None
    finished_at: str | None


class PageAnswer(BaseModel):
    """One page of a list."""

    total: int
    page: int
    limit: int
    pages: int


class JobPage(PageAnswer):
    items: list[JobAnswer]


class Paging(BaseModel):
    """``page`` starts at 1."""

    model_config = ConfigDict(extra="forbid")
    page: int = Field(1, ge=1, le=1_000_000)
    limit: int = Field(50, ge=1, le=500)

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.limit


class JobFilter(Paging):
    state: StateName | None = None
    queue: str | None = Field(None, max_length=255)
    task: str | None = Field(None, max_length=255)


class WaitQuery(BaseModel):
    """``wait``: up to so many seconds for the job to end."""

    model_config = ConfigDict(extra="forbid")
    wait: float = Field(0, ge=0, le=30)


class FunctionAnswer(BaseModel):
    """What a function returned."""

    result: Any
    job_id: str


class ResourceAnswer(BaseModel):
    """A resource as last stored."""

    provider: str
    type: str
    name: str
    version: int
    properties: dict[str, Any]
    job_id: str
    updated_at: str


def page_of(items: list[dict[str, Any]], total: int, paging: Paging) -> dict[str, Any]:
    pages = -(-total // paging.limit)
    return {"items": items, "total": total, "page": paging.page, "limit": paging.limit, "pages": pages}
