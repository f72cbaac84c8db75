"""The processes of this machine, and signals to those that are certainly ours.

A pid alone proves nothing: it may have been given to a stranger. Pid and start time together do.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

PROC = Path("/proc")
POLL_S = 0.05


class Identity(BaseModel):
    """One process for as long as the machine runs; ``started`` is comparable, nothing more."""

    model_config = ConfigDict(frozen=True)
    pid: int
    started: str


@dataclass(frozen=True)
class Process:
    """One living process; ``session`` is 0 where the system does not tell."""

    pid: int
    parent: int
    group: int
    session: int
    started: str

    @property
    def identity(self) -> Identity:
        return Identity(pid=self.pid, started=self.started)


Table = dict[int, Process]


def table() -> Table:
    """Every living process by pid; zombies are left out."""
    found = _from_proc() if (PROC / "self" / "stat").exists() else _from_ps()
    return {process.pid: process for process in found}


def identify(pid: int) -> Identity | None:
    found = table().get(pid)
    return found.identity if found else None


def is_alive(identity: Identity | None, living: Table | None = None) -> bool:
    if identity is None:
        return False
    found = (table() if living is None else living).get(identity.pid)
    return found is not None and found.started == identity.started


def family(leader: Identity, living: Table) -> list[Process]:
    """The living processes of the group and session that ``leader`` led, itself included if it lives.

    The system gives a pid to nobody else while a group or session carries it. So if the pid now belongs to
    a process with another start time, the whole family is gone and what carries the number is a stranger's.
    """
    if leader.pid in living and not is_alive(leader, living):
        return []
    return [p for p in living.values() if leader.pid in (p.pid, p.group, p.session) and p.pid != os.getpid()]


def send(processes: Iterable[Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            continue  # it ended by itself since the table was read


def stop(leaders: Iterable[Identity], grace_s: float) -> bool:
    """SIGTERM to the leaders, SIGKILL to whatever is left of their families after ``grace_s`` seconds, or at once.

    The children of a dead leader get the SIGTERM themselves. False if something could not be killed.
    """
    leaders = list(leaders)
    living = table()
    if grace_s > 0:
        for leader in leaders:
            send([living[leader.pid]] if is_alive(leader, living) else family(leader, living), signal.SIGTERM)
        if _are_gone(leaders, grace_s):
            return True
    kill(leaders)
    return _are_gone(leaders, 5.0)


def kill(leaders: Iterable[Identity]) -> None:
    living = table()
    for leader in leaders:
        send(family(leader, living), signal.SIGKILL)


def _are_gone(leaders: list[Identity], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while True:
        living = table()
        if not any(family(leader, living) for leader in leaders):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)


def _from_proc() -> list[Process]:
    # Start times are ticks since boot, and a DATA_DIR may outlive a boot.
    boot = (PROC / "sys/kernel/random/boot_id").read_text()[:8]
    found = (_read_stat(entry, boot) for entry in PROC.iterdir() if entry.name.isdigit())
    return [process for process in found if process]


def _read_stat(entry: Path, boot: str) -> Process | None:
    try:
        text = (entry / "stat").read_text(errors="replace")
    except OSError:
        return None  # it ended while we were reading
    # The name, in brackets, may contain anything; state, parent, group, session, …, start time follow it.
    fields = text.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return Process(int(entry.name), int(fields[1]), int(fields[2]), int(fields[3]), f"{boot}-{fields[19]}")


def _from_ps() -> list[Process]:
    command = ["ps", "-A", "-o", "pid=,ppid=,pgid=,stat=,lstart="]
    lines = subprocess.run(  # noqa: S603
        command, env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    rows = (line.split(maxsplit=4) for line in lines)
    return [
        Process(int(pid), int(ppid), int(pgid), 0, started)
        for pid, ppid, pgid, state, started in rows
        if state[0] != "Z"
    ]
