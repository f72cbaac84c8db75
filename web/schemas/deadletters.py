"""``/dead-letters``"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from platform.deadletters.letter import LetterState, Reason
from web.schemas.body import MAX_ARGUMENTS, Body
from web.schemas.jobs import JobAnswer
from web.schemas.paging import PageAnswer, Paging

ReasonName = Literal[
    "retries_exhausted", "rejected", "worker_lost", "time_limit", "expired", "unregistered", "undecodable", "invalid"
]

DEAD_LETTER: dict[str, JsonValue] = {
    "dead_letter_id": "2f0a5ab0-5b1b-5d5e-9b0e-0f6d5c0c8f6e",
    "job_id": "516065f2-5752-47c1-bbcd-b7fd0b4b01e8",
    "task": "tasks.files.count",
    "queue": "offload",
    "reason": "retries_exhausted",
    "error": {"type": "OSError", "message": "disk full", "traceback": "Traceback (most recent call last): …"},
    "attempts": 4,
    "args": ["/some/file.txt"],
    "kwargs": {},
    "first_failed_at": "2026-11-22T10:00:00.131Z",
    "dead_at": "2026-11-22T10:07:12.004Z",
    "replayed": 0,
    "state": "dead",
    "evidence": None,
    "owner": "5cec15c2-b35c-4997-a885-9ed9f8a3f6a9",
    "app_id": "default",
}


class DeathError(BaseModel):
    type: str
    message: str
    traceback: str = Field(description="empty if there is none")


class DeadLetterAnswer(BaseModel):
    """A message that will not be delivered again by itself. Times are ISO 8601 in UTC, with milliseconds."""

    model_config = ConfigDict(json_schema_extra={"examples": [DEAD_LETTER]})

    dead_letter_id: str
    job_id: str | None = Field(description="null for bytes that are no message")
    task: str
    queue: str = Field(description="where it came from, and where a replay sends it")
    reason: Reason
    error: DeathError
    attempts: int = Field(description="runs begun")
    args: list[Any] = Field(description="as edited; empty where the body could not be decoded")
    kwargs: dict[str, Any]
    first_failed_at: str
    dead_at: str
    replayed: int = Field(description="how often it was replayed")
    state: LetterState
    evidence: dict[str, Any] | None = Field(
        description="of a death by force: `signal`, `exit_code`, `peak_memory_bytes`, `deaths`"
    )
    owner: str | None
    app_id: str | None


class OriginalArguments(BaseModel):
    args: list[Any]
    kwargs: dict[str, Any]


class RawMessage(BaseModel):
    """The message as it came."""

    base64: str
    bytes: int
    content_type: str | None
    headers: dict[str, Any] | None = Field(description="null for bytes that are no message")


class LetterEvent(BaseModel):
    """What became of a letter: `died`, `edited`, `replayed` or `discarded`."""

    model_config = ConfigDict(extra="allow")

    event: str
    at: str


class DeadLetterInFull(DeadLetterAnswer):
    original: OriginalArguments | None = Field(description="the arguments before they were edited")
    message: RawMessage
    history: list[LetterEvent] = Field(description="oldest first; acts have `by`, deaths `reason` and `error`")


class DeadLetterPage(PageAnswer):
    items: list[DeadLetterAnswer]


class DeadLetterFilter(Paging):
    reason: ReasonName | None = None
    task: str | None = Field(None, max_length=255)
    queue: str | None = Field(None, max_length=255)
    state: Literal["dead", "replayed", "discarded"] = "dead"


class DeadLetterEdit(Body):
    """Other arguments; what is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"args": ["/another/file.txt"]}], "minProperties": 1})

    args: list[Any] = Field([], max_length=MAX_ARGUMENTS, description="instead of the positional arguments")
    kwargs: dict[str, Any] = Field({}, max_length=MAX_ARGUMENTS, description="instead of the keyword arguments")

    @model_validator(mode="after")
    def _something_is_given(self) -> DeadLetterEdit:
        if not self.model_fields_set:
            raise ValueError("give args, kwargs or both")
        return self

    def given(self, name: str) -> Any:
        """The member, or None if it was left out."""
        return getattr(self, name) if name in self.model_fields_set else None


class ReplayOfManyRequest(Body):
    """Which dead letters: everything given must hold."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "time_limit", "rate_per_s": 5}]})

    reason: ReasonName | None = None
    task: str | None = Field(None, max_length=255)
    queue: str | None = Field(None, max_length=255)
    rate_per_s: float | None = Field(None, gt=0.001, le=10_000, description="letters a second at most; null: no limit")


class ReplayOfManyAnswer(JobAnswer):
    """The job that replays them."""

    matching: int = Field(description="letters that match now")
