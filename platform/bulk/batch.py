"""A chunk of jobs, packed for the one script call that writes their records and hands over their messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from platform.errors import NotUnique
from platform.jobs.facts import NewJob
from platform.jobs.records import SHARED_SCRIPT
from platform.jobs.states import State
from platform.leases.scripts import Script
from platform.queueing import place

_TEXT = (Path(__file__).parent / "lua" / "bulk.lua").read_text()
SCRIPT = Script(f"local ARGS, ARGV = ARGV\n{SHARED_SCRIPT}{_TEXT}")

Kind = dict[str, Any]


def kind_of(job: NewJob, queue: str, priority: int, now_ms: int, is_kept: bool) -> Kind:
    """What a job has in common with others, as the script takes it; ``is_kept``: its message goes to the schedule."""
    kind: Kind = {
        "state": State.PENDING if job.ready_at_ms is None and not is_kept else State.SCHEDULED,
        "retries": str(job.retries),
        "replaced": str(int(job.is_replacement)),
        "pairs": [str(part) for pair in job.fields(now_ms).items() for part in pair],
    }
    if is_kept:
        return kind | {"due": str(job.ready_at_ms or now_ms), "queue": queue, "priority": str(priority)}
    return kind | {"list": place.lists(queue)[priority], "bell": place.bell(queue)}


@dataclass
class Batch:
    """Jobs in the order they were submitted; ``places`` are those of their calls, ``size`` is of all messages."""

    kinds: list[Kind] = field(default_factory=list)
    which: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    locks: dict[int, tuple[str, bool, bool]] = field(default_factory=dict)
    uniques: dict[int, NewJob] = field(default_factory=dict)
    size: int = 0

    def add_kind(self, kind: Kind) -> int:
        """The number by which ``add`` knows it."""
        self.kinds.append(kind)
        return len(self.kinds)

    def add(self, place: int, kind: int, job_id: str, message: str) -> None:
        """``message`` is the text of the job's envelope."""
        self.places.append(place)
        self.which.append(kind)
        self.ids.append(job_id)
        self.messages.append(message)
        self.size += len(message)

    def lock_last(self, job: NewJob, text: str, is_strict: bool, is_private: bool = False) -> None:
        """The job added last is unique. Another one that stands for it refuses the whole batch if ``is_strict``, or if
        ``is_private`` and it is another owner's."""
        self.locks[len(self.ids)] = (text, is_strict, is_private)
        self.uniques[len(self.ids) - 1] = job

    def conflict(self, index: int, other: str) -> NotUnique:
        """What to raise for a unique job because another one stands for it."""
        job = self.uniques[index]
        assert job.lock is not None
        return job.lock.conflict(job.task, other)

    def packed(self) -> bytes:
        which = self.which if len(self.kinds) > 1 else ()
        return msgspec.msgpack.encode((self.kinds, which, self.ids, self.messages, self.locks))
