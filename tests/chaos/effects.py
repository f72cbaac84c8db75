"""What the jobs really did: the lines they wrote themselves, read back as runs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Run:
    """One run of a job's code, times in seconds since 1970; ``ended_at`` None: it never came to its end."""

    job_id: str
    worker: str
    pid: int
    started_at: float
    ended_at: float | None = None


class Effects:
    def __init__(self, log: Path):
        self.log = log
        log.touch()

    def runs(self) -> dict[str, list[Run]]:
        """Every run by its job, in the order of their starts."""
        found: dict[str, list[Run]] = defaultdict(list)
        for line in self.log.read_text().splitlines():
            what, job_id, worker, pid, moment = line.split()
            if what == "start":
                found[job_id].append(Run(job_id, worker, int(pid), float(moment)))
            else:
                _under_way(found[job_id], worker, int(pid)).ended_at = float(moment)
        return found

    def count_ended(self) -> int:
        return sum(line.startswith("end ") for line in self.log.read_text().splitlines())


def _under_way(runs: list[Run], worker: str, pid: int) -> Run:
    return next(run for run in reversed(runs) if (run.worker, run.pid, run.ended_at) == (worker, pid, None))
