"""What may be wrong with a worker that polls."""

from __future__ import annotations

from collections.abc import Iterable

from platform.errors import PlatformError, did_you_mean


class BadWorker(PlatformError):
    """A class that cannot be run; the message says which attribute is wrong and what it may be."""


class LeaseLost(PlatformError):
    """This process was silent for longer than its lease; somebody else may do the work by now."""

    def __init__(self, name: str, fence: int):
        super().__init__(name, fence)
        self.name, self.fence = name, fence

    def __str__(self) -> str:
        return f"the lease {self.fence} of {self.name} ran out; another process may be at work"


class UnknownWorker(PlatformError):
    """No imported module has a worker of that name, and none was ever at work."""

    def __init__(self, name: str, known: Iterable[str] = ()):
        known = tuple(known)
        super().__init__(name, known)
        self.name, self.known = name, known

    def __str__(self) -> str:
        there_are = f"; there are {', '.join(self.known)}" if self.known else "; name its module in PLATFORM_IMPORTS"
        return f"there is no worker {self.name!r}{did_you_mean(self.name, self.known) or there_are}"
