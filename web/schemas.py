"""The bodies, queries and answers of the API, as pydantic models: what is checked is what ``/docs`` shows."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from platform.jobs.states import State

MAX_ARGUMENTS = 10_000
StateName = Literal["pending", "scheduled", "running", "retrying", "completed", "failed", "cancelled"]


def _whole(value: object) -> object:
    """JSON Schema calls 9.0 an integer; strict pydantic does not."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# The validator stands after Field: before it, the bounds would be missing from the schema.
Priority = Annotated[int, Field(ge=0, le=9, description="9 is most urgent; default 5"), BeforeValidator(_whole)]
Retries = Annotated[int, Field(ge=0, le=1000), BeforeValidator(_whole)]
Seconds = Annotated[float, Field(ge=0, le=31_536_000)]


JOB: dict[str, JsonValue] = {
    "job_id": "516065f2-5752-47c1-bbcd-b7fd0b4b01e8",
    "task": "tasks.files.count",
    "queue": "offload",
    "priority": 7,
    "state": "completed",
    "attempts": 1,
    "max_retries": 3,
    "progress": None,
    "result": {"path": "/some/file.txt", "language": "Text", "bytes": 2048, "lines": 64, "words": 350},
    "error": None,
    "owner": "5cec15c2-b35c-4997-a885-9ed9f8a3f6a9",
    "app_id": "default",
    "parent_id": None,
    "dead_letter_id": None,
    "created_at": "2026-11-22T10:00:00.123Z",
    "started_at": "2026-11-22T10:00:00.131Z",
    "finished_at": "2026-11-22T10:00:00.140Z",
}

# Members are up to the function, provider or action.
Members = Annotated[dict[str, Any], Field(examples=[{"path": "/some/folder"}])]


class Html(str):
    """An answer that is a page."""


class Body(BaseModel):
    """A request body: unknown members are an error."""

    model_config = ConfigDict(extra="forbid")


class JobRequest(Body):
    """A job to submit."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"task": "tasks.files.count", "args": ["/some/file.txt"], "priority": 7}]}
    )

    task: str = Field(min_length=1, max_length=255, description="a public task's name")
    args: list[Any] = Field([], max_length=MAX_ARGUMENTS, description="the task's positional arguments")
    kwargs: dict[str, Any] = Field({}, max_length=MAX_ARGUMENTS, description="the task's keyword arguments")
    queue: str | None = Field(None, description="instead of the task's own queue")
    priority: Priority | None = None
    countdown: Seconds | None = Field(None, description="seconds from now before it runs")
    eta: datetime | None = Field(None, description="when it runs, instead of `countdown`; UTC without a zone")
    expires: Seconds | datetime | None = Field(
        None, description="seconds from now, or a time, after which it never runs"
    )
    max_retries: Retries | None = Field(None, description="instead of the task's own number")


class Progress(BaseModel):
    done: float
    total: float | None
    message: str


class JobError(BaseModel):
    type: str
    message: str


class JobAnswer(BaseModel):
    """A job as it is now. Times are ISO 8601 in UTC, with milliseconds."""

    model_config = ConfigDict(json_schema_extra={"examples": [JOB]})

    job_id: str
    task: str
    queue: str
    priority: int = Field(description="0–9, 9 is most urgent")
    state: State
    attempts: int = Field(description="runs begun so far")
    max_retries: int | None = Field(description="attempts allowed after the first")
    progress: Progress | None
    result: Any = Field(description="what the task returned, once completed")
    error: JobError | None = Field(description="of the latest attempt that failed")
    owner: str | None = Field(description="the user who submitted it")
    app_id: str | None = Field(description="the owner's tenant")
    parent_id: str | None = Field(description="the job that submitted it")
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
    """Which part of a list."""

    model_config = ConfigDict(extra="forbid")
    page: int = Field(1, ge=1, le=1_000_000, description="counts from 1")
    limit: int = Field(50, ge=1, le=500, description="items per page")

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.limit


class JobFilter(Paging):
    state: StateName | None = None
    queue: str | None = Field(None, max_length=255)
    task: str | None = Field(None, max_length=255)


class WaitQuery(BaseModel):
    """How long to wait for an outcome."""

    model_config = ConfigDict(extra="forbid")
    wait: float = Field(0, ge=0, le=30, description="up to so many seconds for the job to end")


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
