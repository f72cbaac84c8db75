"""``/queues``"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from platform.limits import MAX_CONCURRENCY
from web.schemas.body import Body, whole
from web.schemas.paging import PageAnswer

#: Of what ``platform.limits.interval_ms`` takes; the schema shall not promise more.
RATE = r"^([1-9][0-9]{0,5}([.][0-9]{1,3})?|0[.][0-9]{0,2}[1-9])(/[smh])?$"

QUEUE: dict[str, JsonValue] = {
    "name": "offload",
    "paused": True,
    "paused_at": "2026-11-22T10:00:00.123Z",
    "paused_by": "operator@example.com",
    "depth": 12,
    "by_priority": {"9": 2, "8": 0, "7": 0, "6": 0, "5": 10, "4": 0, "3": 0, "2": 0, "1": 0, "0": 0},
    "running": 1,
    "scheduled": 3,
    "retrying": 0,
    "limited": 2,
    "limits": {
        "concurrency": 20,
        "rate": "100/s",
        "set_at": "2026-11-22T10:00:00.123Z",
        "set_by": "operator@example.com",
    },
    "oldest_age_s": 4.2,
    "rates": {"in_per_s": 1.5, "out_per_s": 1.3, "failed_per_s": 0.0},
    "consumers": ["celery@host"],
}


class RatesAnswer(BaseModel):
    """Jobs per second over the last minute."""

    in_per_s: float = Field(description="submitted")
    out_per_s: float = Field(description="ended, whatever the outcome")
    failed_per_s: float = Field(description="ended failed")


class QueueLimitsRequest(Body):
    """A queue's limits; what is null or left out is not limited."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"concurrency": 20, "rate": "100/s"}], "minProperties": 1}
    )

    concurrency: Annotated[int, Field(ge=1, le=MAX_CONCURRENCY), BeforeValidator(whole)] | None = Field(
        None, description="most jobs running at once"
    )
    rate: Annotated[str, Field(pattern=RATE)] | None = Field(
        None, description="most jobs begun in a time: 10/s, 100/m or 5/h", examples=["10/s"]
    )

    @model_validator(mode="after")
    def _something_is_given(self) -> QueueLimitsRequest:
        if not self.model_fields_set:
            raise ValueError("give concurrency, rate or both")
        return self


class QueueLimitsAnswer(BaseModel):
    """A queue's own limits."""

    concurrency: int | None = Field(description="most jobs running at once")
    rate: str | None = Field(description="most jobs begun in a time")
    set_at: str
    set_by: str = Field(description="as `paused_by`")


class QueueAnswer(BaseModel):
    """A queue as it is now."""

    model_config = ConfigDict(json_schema_extra={"examples": [QUEUE]})

    name: str
    paused: bool = Field(description="workers take nothing from it; submitting goes on")
    paused_at: str | None
    paused_by: str | None = Field(description="the e-mail of who paused it, or `cli:` and who sat at the terminal")
    depth: int = Field(description="messages waiting for a worker")
    by_priority: dict[str, int] | None = Field(description='the same, from "9" to "0"; null on RabbitMQ')
    running: int = Field(description="jobs running now")
    scheduled: int = Field(description="jobs waiting for their time")
    retrying: int = Field(description="jobs waiting for their next attempt")
    limited: int = Field(description="pending jobs waiting for their turn under a limit, their task's or the queue's")
    limits: QueueLimitsAnswer | None = Field(description="the queue's own; null without any")
    oldest_age_s: float | None = Field(description="age of the job that waits longest, in seconds")
    rates: RatesAnswer
    consumers: list[str] = Field(description="workers that serve it, also while it is paused")


class QueuePage(PageAnswer):
    items: list[QueueAnswer]
