"""The process that submits: ``python -m bench.systems.driver MODULE``.

Reads one JSON object a line, ``{"do": …, "jobs": n}``, and answers each with one: first, unasked, with its
versions. Ends with its standard input. Whatever goes wrong ends it, with a traceback on standard error.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any

from bench.systems.work import COUNTER, WORD, valkey

#: How long a job may be on its way, and how long without a sign of life the workers may take over all of them.
PATIENCE_S = 110


class Driver:
    """Its public methods are what ``do`` may name."""

    def __init__(self, system: Any):
        self._system = system

    def submit(self, jobs: int) -> dict[str, float]:
        """Hand over ``jobs`` jobs, one after another, from an empty counter on."""
        valkey().delete(COUNTER, WORD)
        began = time.perf_counter()
        for _ in range(jobs):
            self._system.submit(jobs)
        return {"seconds": time.perf_counter() - began}

    def bulk(self, jobs: int) -> dict[str, float]:
        """Hand over ``jobs`` jobs as fast as the system can."""
        began, cpu_began = time.perf_counter(), time.process_time()
        self._system.submit_many(jobs)
        return {"seconds": time.perf_counter() - began, "cpu_s": time.process_time() - cpu_began}

    def finish(self, jobs: int) -> dict[str, float]:
        """Return once the counter has reached ``jobs``."""
        self._await_word()
        return {"done": jobs}

    def latency(self, jobs: int) -> dict[str, list[float]]:
        """Each job's way from the call to its last act, in milliseconds; the next goes out when it is done."""
        valkey().delete(COUNTER, WORD)
        return {"ms": [self._round_trip() * 1000 for _ in range(jobs)]}

    def batch(self, jobs: int) -> dict[str, float]:
        """Hand over ``jobs`` items as one batch: seconds until the call returns, and until its callback runs."""
        valkey().delete(COUNTER, WORD)
        began = time.perf_counter()
        self._system.batch(jobs)
        accepted_s = time.perf_counter() - began
        self._await_word()
        return {"accepted": accepted_s, "done": time.perf_counter() - began}

    def recorded(self, jobs: int) -> dict[str, int | None]:
        """How many jobs have a record that says completed, once it is ``jobs``; None where nothing is recorded."""
        count: Callable[[], int] | None = getattr(self._system, "recorded", None)
        deadline = time.monotonic() + 10  # a record is written just after the job's last act
        while count is not None and count() < jobs and time.monotonic() < deadline:
            time.sleep(0.02)
        return {"recorded": count() if count else None}

    def _round_trip(self) -> float:
        began = time.perf_counter()
        self._system.submit(1)
        self._await_word()
        return time.perf_counter() - began

    @staticmethod
    def _await_word() -> None:
        if valkey().blpop([WORD], timeout=PATIENCE_S) is None:
            raise TimeoutError(f"no word of the jobs within {PATIENCE_S} s; {valkey().get(COUNTER)!r} were done")


def main() -> None:
    system = import_module(sys.argv[1])
    answer_all(Driver(system), {"python": sys.version.split()[0], system.DISTRIBUTION: version(system.DISTRIBUTION)})


def answer_all(driver: Any, versions: dict[str, str]) -> None:
    """Do what is asked on standard input by the driver's public methods, until it ends."""
    _say(versions)
    for line in sys.stdin:
        asked = json.loads(line)
        _say(getattr(driver, asked["do"])(asked["jobs"]))


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
