"""The one tree of errors, and "did you mean"."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from kombu.exceptions import OperationalError


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the nearest known word, or an empty string."""
    found = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""


class PlatformError(Exception):
    """What this platform raises on purpose; the message is one sentence that says what to do."""


class SettingsError(PlatformError):
    """A setting is unknown, unreadable or breaks a rule; every problem found is in the message."""


class UnknownOption(PlatformError):
    """A task option or Celery key that nothing would ever read."""


class BrokerUnavailable(PlatformError, OperationalError):
    """The broker or the record store did not answer in time; nothing was enqueued.

    Also a ``kombu.exceptions.OperationalError``, which is what code written for plain Celery catches.
    """


class EmbeddedServerError(PlatformError):
    """The embedded Valkey could not be started; the message quotes its log."""


class UnknownJob(PlatformError):
    """No record of that job is kept."""

    def __init__(self, job_id: str):
        super().__init__(job_id)
        self.job_id = job_id

    def __str__(self) -> str:
        return f"no job {self.job_id!r} is known; its record may have passed its retention time"


class JobCancelled(PlatformError):
    """Raised inside a running task, at its next progress report, after somebody cancelled the job."""

    def __init__(self, job_id: str):
        super().__init__(job_id)
        self.job_id = job_id

    def __str__(self) -> str:
        return f"job {self.job_id} was cancelled while it ran"
