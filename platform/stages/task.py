"""The task of a stage: its one argument is a list of changes as plain data."""

from __future__ import annotations

from typing import Any

from platform.stages.answers import Function
from platform.stages.passing import Run, work_on
from platform.task import Task


class StageTask(Task):
    """What ``@stage`` makes; ``stage`` is its name in the graph, ``function`` what it does."""

    stage: str = ""
    function: Function = Function("", list, list, list)
    #: Of how many changes one call takes at most.
    batch: int = 1

    def work(self, changes: list[Any]) -> Any:
        """The task's code. In a bundle the work is done already, and only its outcome is handed out."""
        run = getattr(self.request, "run", None)
        if run is None:
            run = Run(self.request)
            work_on(self, [run])
        self.request.is_passed_on = run.is_passed_on
        return run.hand_out()
