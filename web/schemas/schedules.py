"""``/schedules``"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from platform.schedules.definition import LEAST_S, MAX_NAME_CHARS, MOST_S
from web.schemas.body import MAX_ARGUMENTS, Body, whole
from web.schemas.paging import PageAnswer

SCHEDULE: dict[str, JsonValue] = {
    "id": "7b0c6f0e-2a7e-4f0b-9a43-1a4c1c3f6d55",
    "name": "nightly count",
    "task": "tasks.files.count",
    "args": ["/some/file.txt"],
    "kwargs": {},
    "queue": None,
    "priority": None,
    "cron": "30 2 * * *",
    "every_s": None,
    "timezone": "Europe/Berlin",
    "missed": "once",
    "overlap": "skip",
    "source": "api",
    "paused": False,
    "owner": "5cec15c2-b35c-4997-a885-9ed9f8a3f6a9",
    "app_id": "default",
    "created_at": "2026-11-22T10:00:00.123Z",
    "next_run_at": "2026-11-24T01:30:00.000Z",
    "last_run_at": "2026-11-23T01:30:00.004Z",
    "last_job_id": "516065f2-5752-47c1-bbcd-b7fd0b4b01e8",
    "last_error": None,
    "runs": 1,
    "missed_runs": 0,
}
CRON = "minute, hour, day of month, month, day of week, as in `*/5 8-18 * * MON-FRI`; or `@hourly`, `@daily`, …"
MISSED = (
    "what becomes of runs more than 30 s late, because no scheduler acted: `skip` leaves them out, `once` makes one "
    "for all of them, `all` makes each of the last day"
)
OVERLAP = (
    "what becomes of a run while the one before has not ended: `allow` lets both run, `skip` leaves the new one out, "
    "`replace` cancels the old one"
)

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
TaskName = Annotated[str, Field(min_length=1, max_length=255, description="a public task's name")]
Args = Annotated[list[Any], Field(max_length=MAX_ARGUMENTS, description="the task's positional arguments")]
Kwargs = Annotated[dict[str, Any], Field(max_length=MAX_ARGUMENTS, description="the task's keyword arguments")]
CronText = Annotated[str, Field(min_length=1, max_length=255, description=CRON)]
Interval = Annotated[float, Field(ge=LEAST_S, le=MOST_S, description="seconds from one run to the next")]
Zone = Annotated[str, Field(min_length=1, max_length=64, description="of the IANA database; the cron is in its time")]
# The validator stands after Field: before it, the bounds would be missing from the schema.
Priority = Annotated[
    int, Field(ge=0, le=9, description="9 is most urgent; null: the task's own"), BeforeValidator(whole)
]
Missed = Annotated[Literal["skip", "once", "all"], Field(description=MISSED)]
Overlap = Annotated[Literal["allow", "skip", "replace"], Field(description=OVERLAP)]


class ScheduleRequest(Body):
    """A schedule to keep: a task and either `cron` or `every_s`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "nightly count", "task": "tasks.files.count", "args": ["/some/file.txt"],
                 "cron": "30 2 * * *", "timezone": "Europe/Berlin", "overlap": "skip"}
            ]
        }
    )  # fmt: skip

    name: Name = Field(description="yours for one schedule only")
    task: TaskName
    args: Args = []
    kwargs: Kwargs = {}
    queue: str | None = Field(None, description="instead of the task's own queue")
    priority: Priority | None = None
    cron: CronText | None = None
    every_s: Interval | None = None
    timezone: Zone = "UTC"
    missed: Missed = "once"
    overlap: Overlap = "allow"
    paused: bool = Field(False, description="whether it waits to be resumed")


class ScheduleChange(Body):
    """What is to be otherwise; what is left out stays as it is. A `cron` takes an interval's place, and the reverse."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"cron": "0 3 * * *"}], "minProperties": 1})

    name: Name = ""
    task: TaskName = ""
    args: Args = []
    kwargs: Kwargs = {}
    queue: str | None = Field(None, description="null: the task's own queue")
    priority: Priority | None = None
    cron: CronText | None = None
    every_s: Interval | None = None
    timezone: Zone = "UTC"
    missed: Missed = "once"
    overlap: Overlap = "allow"
    paused: bool = Field(False, description="true: it makes no run until it is resumed; false: from now on it does")

    @model_validator(mode="after")
    def _something_is_given(self) -> ScheduleChange:
        if not self.model_fields_set:
            raise ValueError("give what is to be changed")
        return self


class ScheduleAnswer(BaseModel):
    """A schedule as it is now. Times are ISO 8601 in UTC, with milliseconds."""

    model_config = ConfigDict(json_schema_extra={"examples": [SCHEDULE]})

    id: str
    name: str
    task: str
    args: list[Any]
    kwargs: dict[str, Any]
    queue: str | None = Field(description="null: the task's own")
    priority: int | None = Field(description="null: the task's own")
    cron: str | None
    every_s: float | None
    timezone: str
    missed: Missed
    overlap: Overlap
    source: Literal["api", "code"] = Field(description="`code`: of a module's beat_schedule, changed only there")
    paused: bool
    owner: str | None = Field(description="the user whose jobs its runs are")
    app_id: str | None = Field(description="the owner's tenant")
    created_at: str
    next_run_at: str | None = Field(description="null while it is paused")
    last_run_at: str | None
    last_job_id: str | None = Field(description="the job of the last run")
    last_error: str | None = Field(description="why the last run made no job; null once one has")
    runs: int = Field(description="jobs it has made")
    missed_runs: int = Field(description="runs left out because nobody acted when they were due")


class SchedulePage(PageAnswer):
    items: list[ScheduleAnswer]
