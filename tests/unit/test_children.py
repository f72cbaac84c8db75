"""How a child ended is known: signal or exit code, and the most memory it held."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest
from billiard import popen_fork
from billiard.context import ForkContext

from platform import children

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def watching() -> Iterator[None]:
    before = popen_fork.Popen.poll
    children.watch()
    yield
    popen_fork.Popen.poll = before


def run(work: Callable[[], None]) -> int:
    process = ForkContext().Process(target=work)
    process.start()
    process.join(20)
    return process.pid


def test_a_killed_child_is_known_by_its_signal() -> None:
    end = children.end_of(run(lambda: os.kill(os.getpid(), signal.SIGKILL)))
    assert end is not None
    assert (end.signal, end.exit_code, str(end)) == ("SIGKILL", None, "killed by SIGKILL")


def test_a_child_that_left_is_known_by_its_exit_code() -> None:
    end = children.end_of(run(lambda: os._exit(3)))
    assert end is not None
    assert (end.signal, end.exit_code, str(end)) == (None, 3, "exit code 3")


def test_the_peak_of_a_childs_memory_is_known_though_it_gave_it_back() -> None:
    def greedy() -> None:
        held = b"x" * (200 * MIB)
        del held

    peak = children.peak_memory_bytes(run(greedy))
    assert peak is not None
    assert peak > 200 * MIB


def test_the_peak_of_a_living_process_is_read_from_the_system() -> None:
    peak = children.peak_memory_bytes(os.getpid())
    assert peak is None or peak > MIB


def test_a_process_never_seen_is_unknown() -> None:
    assert children.end_of(None) is None
    assert children.end_of(2**30) is None
    assert children.peak_memory_bytes(2**30) is None


def test_only_the_latest_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "REMEMBERED", 2)
    monkeypatch.setattr(children, "_ended", type(children._ended)())
    pids = [run(lambda: None) for _ in range(3)]
    assert [children.end_of(pid) is not None for pid in pids] == [False, True, True]
