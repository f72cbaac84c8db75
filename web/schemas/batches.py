"""``/batches``"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from platform.batches.chunks import MAX_CHUNK_SIZE
from platform.batches.states import BatchState, ItemState
from web.schemas.body import MAX_ARGUMENTS, Body, whole
from web.schemas.jobs import JobError, Priority, Retries
from web.schemas.paging import PageAnswer, Paging

#: Items of a batch made over HTTP; from Python there is no such limit.
MAX_ITEMS = 100_000

# No upper bound, which is ``MAX_ITEMS``: programs that try what a description allows would try that.
Count = Annotated[int, Field(ge=0), BeforeValidator(whole)]
ChunkSize = Annotated[int, Field(ge=1, le=MAX_CHUNK_SIZE), BeforeValidator(whole)]

EITHER: dict[str, JsonValue] = {"oneOf": [{"required": ["items"]}, {"required": ["count"]}]}
BATCH: dict[str, JsonValue] = {
    "batch_id": "0b0d5c3e-6d4e-4b4e-9a0c-1c9b6f0a5b3d",
    "task": "tasks.files.count",
    "kwargs": {},
    "state": "running",
    "total": 1000,
    "pending": 555,
    "running": 25,
    "done": 420,
    "completed": 417,
    "failed": 3,
    "cancelled": 0,
    "rate_per_s": 210.5,
    "eta_s": 2.8,
    "open": False,
    "cancel_requested": False,
    "priority": 5,
    "max_retries": 3,
    "chunk_size": 32,
    "owner": "5cec15c2-b35c-4997-a885-9ed9f8a3f6a9",
    "app_id": "default",
    "parent_id": None,
    "on_complete": {"task": "shop.report", "kwargs": {"title": "June"}, "job_id": None},
    "on_success": None,
    "on_failure": None,
    "created_at": "2026-11-22T10:00:00.123Z",
    "started_at": "2026-11-22T10:00:00.141Z",
    "finished_at": None,
}


class CallbackRequest(Body):
    """A job to run at a batch's end; it is given `batch_id` beside its own arguments."""

    task: str = Field(min_length=1, max_length=255, description="a public task's name")
    kwargs: dict[str, Any] = Field({}, max_length=MAX_ARGUMENTS, description="its keyword arguments")


class Items(Body):
    """Either of two ways of saying what the items are; as JSON Schema that is ``EITHER``."""

    items: list[Any] = Field([], description=f"each is the task's first argument; {MAX_ITEMS} at most")
    count: Count = Field(0, description=f"instead of `items`: that many, each its own index; {MAX_ITEMS} at most")

    @model_validator(mode="after")
    def _either_is_given(self) -> Items:
        if len({"items", "count"} & self.model_fields_set) != 1:
            raise ValueError("give either items or count")
        return self

    @property
    def given(self) -> list[Any] | int:
        return self.count if "count" in self.model_fields_set else self.items


class BatchRequest(Items):
    """A batch to submit."""

    model_config = ConfigDict(
        json_schema_extra={
            **EITHER,
            "examples": [{"task": "tasks.files.count", "items": ["/a/file", "/another/file"]}],
        }
    )

    task: str = Field(min_length=1, max_length=255, description="a public task's name")
    kwargs: dict[str, Any] = Field({}, max_length=MAX_ARGUMENTS, description="keyword arguments of every item")
    chunk_size: ChunkSize | None = Field(None, description="items in each job; chosen by their number if left out")
    on_complete: CallbackRequest | None = Field(None, description="runs once all items have ended, however they did")
    on_success: CallbackRequest | None = Field(None, description="runs once all items have completed")
    on_failure: CallbackRequest | None = Field(None, description="runs once all have ended and some have failed")
    priority: Priority | None = None
    max_retries: Retries | None = Field(None, description="of each item, instead of the task's own number")
    open: bool = Field(False, description="more items will be added; it does not end before `close`")


class MoreItems(Items):
    """Items for a batch that runs or is open."""

    model_config = ConfigDict(json_schema_extra={**EITHER, "examples": [{"items": ["/one/more/file"], "close": True}]})

    close: bool = Field(False, description="these were the last")


class CallbackAnswer(BaseModel):
    task: str
    kwargs: dict[str, Any]
    job_id: str | None = Field(description="its job, once it was decided that it runs")


class BatchAnswer(BaseModel):
    """A batch as it is now. Times are ISO 8601 in UTC, with milliseconds."""

    model_config = ConfigDict(json_schema_extra={"examples": [BATCH]})

    batch_id: str
    task: str
    kwargs: dict[str, Any]
    state: BatchState = Field(description="`failed`: all items have ended, and some have failed")
    total: int
    pending: int = Field(description="items that wait, for another try as well")
    running: int
    done: int = Field(description="items that have ended: completed + failed + cancelled")
    completed: int
    failed: int
    cancelled: int
    rate_per_s: float | None = Field(description="items a second lately; of a batch that has ended, on average")
    eta_s: float | None = Field(description="seconds until its end at this rate; null if that cannot be told")
    open: bool = Field(description="more items may be added, and it does not end before it is closed")
    cancel_requested: bool = Field(description="it was cancelled, and waits for items that run")
    priority: int
    max_retries: int | None
    chunk_size: int | None
    owner: str | None
    app_id: str | None
    parent_id: str | None = Field(description="the batch, or the job, that made it")
    on_complete: CallbackAnswer | None
    on_success: CallbackAnswer | None
    on_failure: CallbackAnswer | None
    created_at: str | None
    started_at: str | None
    finished_at: str | None


class BatchInFull(BatchAnswer):
    children: list[BatchAnswer] = Field(description="batches that its items made, oldest first, a hundred at most")


class BatchPage(PageAnswer):
    items: list[BatchAnswer]


class BatchFilter(Paging):
    state: Literal["pending", "running", "completed", "failed", "cancelled"] | None = None
    task: str | None = Field(None, max_length=255)


class ItemAnswer(BaseModel):
    """One item of a batch."""

    index: int = Field(description="its place, from 0")
    item: Any
    state: ItemState
    attempts: int = Field(description="runs begun")
    result: Any
    error: JobError | None = Field(description="of the latest attempt that failed")


class ItemPage(PageAnswer):
    items: list[ItemAnswer]


class ItemFilter(Paging):
    state: Literal["pending", "running", "completed", "failed", "cancelled"] | None = None


class ResultsQuery(BaseModel):
    """Which of the items that have ended."""

    model_config = ConfigDict(extra="forbid")
    after: int = Field(-1, ge=-1, description="only those with a larger index")
    limit: int | None = Field(None, ge=1, description="so many at most")
