"""A run that was not begun, told by the process that would have run it to the worker that holds the message."""

from __future__ import annotations

from celery.exceptions import Ignore


class NotStarted(Ignore):
    """The record refused the start.

    ``why`` is as ``Ledger.start`` says: a state, or held, running, busy, crashed, limited; ``limit`` belongs to that.
    """

    def __init__(self, job_id: str, why: str, limit: str = ""):
        super().__init__(job_id, why, limit)
        self.job_id, self.why, self.limit = job_id, why, limit

    def __str__(self) -> str:
        return f"job {self.job_id}: {self.why}; this delivery of it is not run"
