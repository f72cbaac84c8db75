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


class BadOption(PlatformError):
    """A task option has a value that can never work; the message says which one, and what can."""


class BrokerUnavailable(PlatformError, OperationalError):
    """The broker or the record store did not answer in time; nothing was enqueued.

    Also a ``kombu.exceptions.OperationalError``, which is what code written for plain Celery catches.
    """

    #: Somebody else is away, whatever was asked of them; another job would meet the same.
    is_outage = True


class QueueMadeOtherwise(BrokerUnavailable):
    """RabbitMQ has a queue of the same name made with other arguments, and takes nothing for this one."""

    def __init__(self, queue_type: str, why: str):
        super().__init__(queue_type, why)
        self.queue_type, self.why = queue_type, why

    def __str__(self) -> str:
        return (
            f"RabbitMQ has a queue made otherwise than PLATFORM_QUEUE_TYPE={self.queue_type} asks for ({self.why}); "
            "set it to what it was, or let workers empty the queue and delete it"
        )


class EmbeddedServerError(PlatformError):
    """The embedded Valkey could not be started; the message quotes its log."""


class UnknownJob(PlatformError):
    """No record of that job is kept."""

    def __init__(self, job_id: str):
        super().__init__(job_id)
        self.job_id = job_id

    def __str__(self) -> str:
        return f"no job {self.job_id!r} is known; its record may have passed its retention time"


class NotUnique(PlatformError):
    """A unique task's job was not accepted, because ``job_id`` stands for the same call."""

    def __init__(self, message: str, job_id: str = ""):
        super().__init__(message, job_id)
        self.message, self.job_id = message, job_id

    def __str__(self) -> str:
        return self.message


class UnknownQueue(PlatformError):
    """No queue has that name; the nearest one of ``known`` is named."""

    def __init__(self, name: str, known: Iterable[str] = ()):
        known = tuple(known)
        super().__init__(name, known)
        self.name, self.known = name, known

    def __str__(self) -> str:
        hint = did_you_mean(self.name, self.known) or f"; there are {', '.join(self.known)}"
        return f"there is no queue {self.name!r}{hint}"


class QueueNotServed(PlatformError):
    """The queue takes no jobs, so there is nothing to pause, resume or limit."""

    def __init__(self, name: str):
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"no worker serves the queue {self.name}; it can be neither paused, resumed nor limited"


class JobCancelled(PlatformError):
    """Raised inside a running task, at its next progress report, after somebody cancelled the job."""

    def __init__(self, job_id: str):
        super().__init__(job_id)
        self.job_id = job_id

    def __str__(self) -> str:
        return f"job {self.job_id} was cancelled while it ran"


class Expired(PlatformError):
    """A job's time was over before a worker was free; it never ran."""

    def __init__(self, job_id: str):
        super().__init__(job_id)
        self.job_id = job_id

    def __str__(self) -> str:
        return "the job's time was over before a worker was free; submit it again, with a later `expires`"


class WorkerCrashed(PlatformError):
    """The process, or the whole worker, that ran a job ended in the middle of it, too often."""

    def __init__(self, job_id: str, deaths: int, how: str):
        super().__init__(job_id, deaths, how)
        self.job_id, self.deaths, self.how = job_id, deaths, how

    def __str__(self) -> str:
        times = "once" if self.deaths == 1 else f"{self.deaths} times"
        return f"the process that ran this job ended in the middle of it, {times}; last: {self.how}"
