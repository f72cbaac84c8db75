"""How a worker's child processes ended: signal or exit code, and the most memory each ever held.

The kernel tells a parent the peak of a child once, when it is reaped, so the reaping is where it is noted: billiard's
``Popen.poll`` with ``wait4`` in place of ``waitpid``. Source: billiard 4, ``popen_fork.py``.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from billiard import popen_fork

REMEMBERED = 1_000
# Linux counts in KiB, macOS in bytes.
RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class End:
    """The end of one process; ``exit_code`` is None for one ended by a signal, ``signal`` (its name) for any other."""

    signal: str | None
    exit_code: int | None
    peak_memory_bytes: int | None

    def __str__(self) -> str:
        return f"killed by {self.signal}" if self.signal else f"exit code {self.exit_code}"


_ended: OrderedDict[int, End] = OrderedDict()


def watch() -> None:
    """Note how children end from now on; called in a worker's main process, again changes nothing."""
    popen_fork.Popen.poll = _poll


def end_of(pid: int | None) -> End | None:
    """How the child ended; None if it was never seen to."""
    return _ended.get(pid) if pid else None


def peak_memory_bytes(pid: int | None) -> int | None:
    """The most memory a child has held, living or ended; None where the system does not tell."""
    if end := end_of(pid):
        return end.peak_memory_bytes
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


def _poll(self: Any, flag: int = os.WNOHANG) -> int | None:
    if self.returncode is None:
        try:
            pid, status, usage = os.wait4(self.pid, flag)
        except OSError:
            return None  # not made yet, or reaped by somebody else
        if pid == self.pid:
            self.returncode = os.waitstatus_to_exitcode(status)
            _note(pid, self.returncode, usage.ru_maxrss * RSS_UNIT_BYTES)
    return self.returncode


def _note(pid: int, code: int, peak: int) -> None:
    name = signal.Signals(-code).name if code < 0 else None
    _ended[pid] = End(name, None if code < 0 else code, peak)
    while len(_ended) > REMEMBERED:
        _ended.popitem(last=False)
