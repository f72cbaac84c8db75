"""One stage of the pipeline, as it was declared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from platform.errors import PlatformError

#: Names become part of a queue's name.
NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
MAX_BATCH = 1_000


class BadStage(PlatformError):
    """A stage cannot be where, or what, its decorator says; the message says why and what to do."""


class Side(StrEnum):
    """Whether a stage comes before the database, is the one that writes there, or comes after it.

    Before it, a stage's job becomes the next stage's, with the same id, up to ``write``. What ``write`` and those after
    it pass on are new jobs.
    """

    BEFORE = "before"
    WRITE = "write"
    AFTER = "after"


@dataclass(frozen=True)
class Stage:
    """``batch`` is how many changes its function gets at most in one call; 1: it gets them one by one."""

    name: str
    task: str
    queue: str
    batch: int = 1
    side: Side = Side.AFTER

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise BadStage(
                f"a stage cannot be called {self.name!r}: write a small letter, then small letters, digits, - or _"
            )
        if isinstance(self.batch, bool) or not isinstance(self.batch, int) or not 1 <= self.batch <= MAX_BATCH:
            raise BadStage(f"stage {self.name}: batch={self.batch!r} is not between 1 and {MAX_BATCH}")
