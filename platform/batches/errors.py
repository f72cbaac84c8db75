"""What can be wrong with a batch, or with what is asked of one."""

from __future__ import annotations

from typing import Any

from platform.errors import PlatformError


class UnknownBatch(PlatformError):
    """No record of that batch is kept."""

    def __init__(self, batch_id: str):
        super().__init__(batch_id)
        self.batch_id = batch_id

    def __str__(self) -> str:
        return f"no batch {self.batch_id!r} is known; its record may have passed its retention time"


class BatchOver(PlatformError):
    """The batch has ended, or is being cancelled: it takes no items and cannot be cancelled again."""

    def __init__(self, batch_id: str, state: str):
        super().__init__(batch_id, state)
        self.batch_id, self.state = batch_id, state

    def __str__(self) -> str:
        return f"the batch is {self.state} already"


class NothingFailed(PlatformError):
    """A batch none of whose items failed has nothing to run again."""

    def __init__(self, batch_id: str):
        super().__init__(batch_id)
        self.batch_id = batch_id

    def __str__(self) -> str:
        return "none of the batch's items has failed; there is nothing to run again"


class InvalidBatch(PlatformError):
    """A batch that was asked for cannot be; ``problems`` is a list of ``{"loc": [...], "msg": ...}``."""

    is_permanent = True

    def __init__(self, problems: list[dict[str, Any]]):
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in self.problems)


def too_many(most: int, there: int) -> InvalidBatch:
    """Of items that are added to a batch with so many."""
    text = f"a batch has {most} items at most over HTTP, and this one has {there} already"
    return InvalidBatch([{"loc": ["items"], "msg": text}])
