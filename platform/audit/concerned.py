"""The tasks a finding is about: said once of all of them, the first few by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from platform.audit.finding import Finding

NAMES_SHOWN = 4


def about(tasks: Iterable[Any], finding: Callable[[str], Finding]) -> Iterator[Finding]:
    """One finding for all tasks concerned, the first few by name; none without any."""
    names = [task.name for task in tasks]
    if names:
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        yield finding(", ".join(names[:NAMES_SHOWN]) + more)


def function_of(task: Any) -> Any:
    """What the user wrote; ``run`` may be wrapped for retries."""
    return inspect.unwrap(getattr(task, "_orig_run", task.run))
