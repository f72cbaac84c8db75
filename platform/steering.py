"""What a task raises to steer what becomes of its job; neither is logged as a failure of the platform.

``from tasks import RetryLater, Discard``. Both survive pickling between processes.
"""

from __future__ import annotations


class Steering(Exception):
    """Stands apart from the tree of errors."""


class RetryLater(Steering):
    """Try the job again in ``seconds`` (at least 0); it counts as one of its retries.

    The last retry used up, the job fails with this as its error.
    """

    def __init__(self, seconds: float, reason: str = ""):
        super().__init__(seconds, reason)
        self.seconds = seconds
        self.reason = reason

    def __str__(self) -> str:
        return self.reason or f"to be tried again in {self.seconds} s"


class Discard(Steering):
    """The job can never succeed: it fails at once, whatever retries it has left, and becomes a dead letter."""

    def __init__(self, reason: str = "the task said that it can never succeed"):
        super().__init__(reason)
        self.reason = reason
