"""Where programs of a benchmark run, and what they take of the machine; as far as the system tells."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Those we may use, as far as the system tells.
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
#: Of the open files that are allowed, for what is no socket of a client.
OTHER_FILES = 500


@contextmanager
def on_core(number: int) -> Iterator[None]:
    """Start programs on one of the cores we may use, 0 the first and -1 the last; where the system can do that."""
    if not CORES:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {CORES[number]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def rss_bytes(group: int) -> int:
    """Resident memory of the living processes of a group; 0 where the system has no /proc."""
    pages = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int((folder / "stat").read_text().rpartition(")")[2].split()[2]) == group:
                pages += int((folder / "statm").read_text().split()[1])
        except OSError:  # it has ended meanwhile
            continue
    return pages * resource.getpagesize()


def most_sockets() -> int:
    """How many sockets one process can hold, once this one and what it starts may open all the files allowed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        return 1_000_000
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard - OTHER_FILES
