"""What is refused of a schedule, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from platform.errors import PlatformError


class BadSchedule(PlatformError, ValueError):
    """A schedule makes no sense; ``problems`` is a list of ``{"loc": [field], "msg": …}``."""

    def __init__(self, problems: Sequence[dict[str, Any]]):
        super().__init__(problems)
        self.problems = list(problems)

    def __str__(self) -> str:
        return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in self.problems)


class UnknownSchedule(PlatformError):
    """No schedule has that id, or no schedule of yours."""

    def __init__(self, schedule_id: str, hint: str = ""):
        super().__init__(schedule_id, hint)
        self.schedule_id, self.hint = schedule_id, hint

    def __str__(self) -> str:
        return f"there is no schedule {self.schedule_id!r}{self.hint}"


class ScheduleConflict(PlatformError):
    """What was asked for does not go together with what is; nothing was done."""


class NameTaken(ScheduleConflict):
    def __init__(self, name: str):
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"there is a schedule called {self.name!r} already; choose another name, or change or remove that one"


class TooManySchedules(ScheduleConflict):
    def __init__(self, most: int):
        super().__init__(most)
        self.most = most

    def __str__(self) -> str:
        return f"one account has {self.most} schedules at most; remove some"


class WrittenInCode(ScheduleConflict):
    """A schedule of ``beat_schedule``: it can be paused and run, but changed only where it is written."""

    def __init__(self, name: str):
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"schedule {self.name!r} is written in a module's beat_schedule; change or remove it there"


class ChangedMeanwhile(ScheduleConflict):
    def __init__(self, schedule_id: str):
        super().__init__(schedule_id)
        self.schedule_id = schedule_id

    def __str__(self) -> str:
        return f"schedule {self.schedule_id} was changed by somebody else at the same time; try again"


class StillRunning(ScheduleConflict):
    """A run was asked for while the one before has not ended, and the schedule's overlap is "skip"."""

    def __init__(self, schedule_id: str, job_id: str):
        super().__init__(schedule_id, job_id)
        self.schedule_id, self.job_id = schedule_id, job_id

    def __str__(self) -> str:
        return f"job {self.job_id}, the run before, has not ended, and this schedule lets no two runs overlap"


class NotPublished(PlatformError):
    """The app published nothing for a run, though nothing went wrong: ``task_always_eager`` for example."""
