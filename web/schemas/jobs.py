"""``/jobs``"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from platform.jobs.states import State
from web.schemas.body import MAX_ARGUMENTS, Body, whole
from web.schemas.paging import PageAnswer, Paging

StateName = Literal["pending", "scheduled", "running", "retrying", "completed", "failed", "cancelled"]

# The validator stands after Field: before it, the bounds would be missing from the schema.
Priority = Annotated[int, Field(ge=0, le=9, description="9 is most urgent; default 5"), BeforeValidator(whole)]
Retries = Annotated[int, Field(ge=0, le=1000), BeforeValidator(whole)]
Seconds = Annotated[float, Field(ge=0, le=31_536_000)]

MAX_JOBS = 10_000

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
    "eta": None,
    "waiting_for": None,
    "started_at": "2026-11-22T10:00:00.131Z",
    "finished_at": "2026-11-22T10:00:00.140Z",
}


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


class BulkRequest(Body):
    """Jobs to submit, all or none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"jobs": [{"task": "tasks.files.count", "args": [path]} for path in ("/a/file", "/another")]}]
        }
    )

    jobs: list[JobRequest] = Field(min_length=1, max_length=MAX_JOBS)


class BulkAnswer(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"job_ids": [JOB["job_id"]]}]})

    job_ids: list[str] = Field(description="one for each entry, in order; of equal calls of a unique task the same")


class Progress(BaseModel):
    done: float
    total: float | None
    message: str


class JobError(BaseModel):
    type: str
    message: str
    facts: dict[str, Any] | None = Field(None, description="what the error says to programs; left out without any")


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
    eta: str | None = Field(description="the time it waits for, while it is scheduled or retrying")
    waiting_for: str | None = Field(description="what else holds it back: `limit task:shop.sync:ann`")
    started_at: str | None
    finished_at: str | None


class JobPage(PageAnswer):
    items: list[JobAnswer]


class JobFilter(Paging):
    state: StateName | None = None
    queue: str | None = Field(None, max_length=255)
    task: str | None = Field(None, max_length=255)


class WaitQuery(BaseModel):
    """How long to wait for an outcome."""

    model_config = ConfigDict(extra="forbid")
    wait: float = Field(0, ge=0, le=30, description="up to so many seconds for the job to end")
