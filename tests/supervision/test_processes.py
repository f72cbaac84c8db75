"""Signals reach the processes that are certainly ours, and nobody else's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from deploy.supervision import processes
from deploy.supervision.processes import Identity, Process
from tests.waiting import eventually

# A leader with one child, which says when both are there; neither reacts to SIGTERM.
FAMILY = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
os.write(1, b".")
time.sleep(60)
"""


@pytest.fixture
def leader() -> Iterator[subprocess.Popen[bytes]]:
    """A process that leads a session and has a child."""
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, start_new_session=True) as started:
        assert started.stdout is not None
        assert started.stdout.read(1) + started.stdout.read(1) == b".."
        yield started
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)


def process(pid: int, group: int = 0, session: int = 0, started: str = "then") -> Process:
    return Process(pid, 1, group or pid, session, started)


def table(*found: Process) -> processes.Table:
    return {one.pid: one for one in found}


def test_a_family_is_its_group_and_its_session() -> None:
    living = table(process(10), process(11, group=10), process(12, group=12, session=10), process(20))
    found = processes.family(Identity(pid=10, started="then"), living)
    assert [one.pid for one in found] == [10, 11, 12]


def test_a_dead_leaders_family_is_still_found() -> None:
    living = table(process(11, group=10), process(20))
    assert [p.pid for p in processes.family(Identity(pid=10, started="then"), living)] == [11]


def test_a_stranger_who_got_the_pid_is_left_alone_with_its_family() -> None:
    living = table(process(10, started="later"), process(11, group=10))
    assert processes.family(Identity(pid=10, started="then"), living) == []


def test_a_pid_with_another_start_time_is_not_alive() -> None:
    own = processes.identify(os.getpid())
    assert own is not None
    assert processes.is_alive(own)
    assert not processes.is_alive(Identity(pid=own.pid, started="long ago"))
    assert not processes.is_alive(None)


def test_what_ignores_a_polite_request_is_killed_with_its_children(leader: subprocess.Popen[bytes]) -> None:
    identity = processes.identify(leader.pid)
    assert identity is not None
    family = [one.identity for one in processes.family(identity, processes.table())]
    assert len(family) == 2
    assert processes.stop([identity], grace_s=0.2)
    assert not any(processes.is_alive(one) for one in family)


def test_children_of_a_leader_that_was_killed_are_ended(leader: subprocess.Popen[bytes]) -> None:
    identity = processes.identify(leader.pid)
    assert identity is not None
    leader.kill()
    leader.wait()
    assert len(processes.family(identity, processes.table())) == 1
    assert processes.stop([identity], grace_s=0)
    assert processes.family(identity, processes.table()) == []


def test_a_zombie_does_not_count_as_living() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        eventually(lambda: ended.pid not in processes.table())  # not waited for yet, so still in the system's table


@pytest.mark.skipif(shutil.which("ps") is None, reason="no ps here")
def test_ps_tells_the_same_where_there_is_no_proc(leader: subprocess.Popen[bytes]) -> None:
    listed = {one.pid: one for one in processes._from_ps()}
    assert listed[leader.pid].group == leader.pid
    assert listed[leader.pid].parent == os.getpid()
    assert listed[leader.pid].started == {p.pid: p for p in processes._from_ps()}[leader.pid].started
    assert {one.pid for one in listed.values() if one.group == leader.pid} >= {leader.pid}
