"""However it is stopped, nothing is left; jobs may end first."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from deploy.supervision import record
from tests.supervision.installation import STOP_TIMEOUT_S, Installation
from tests.waiting import eventually

pytestmark = pytest.mark.supervision


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_up_stops_everything_in_order(installation: Installation, number: signal.Signals) -> None:
    up = installation.up()
    up.signal(number)
    assert up.wait(STOP_TIMEOUT_S) == 0
    assert installation.left() == []
    stopped = [line.split()[0] for line in up.text().splitlines() if line.endswith(" stopped")]
    assert stopped[-2:] == ["worker1", "valkey"]
    assert installation.services("status").returncode == 1


def test_a_running_job_may_end(installation: Installation, tmp_path: Path) -> None:
    up = installation.up()
    done = tmp_path / "done"
    _start_nap(installation, 4, done)
    up.signal(signal.SIGINT)
    assert up.wait(STOP_TIMEOUT_S) == 0
    assert done.exists()
    assert installation.left() == []


def test_a_second_ctrl_c_does_not_wait_for_jobs(installation: Installation, tmp_path: Path) -> None:
    up = installation.up()
    done = tmp_path / "done"
    _start_nap(installation, 60, done)
    up.signal(signal.SIGINT)
    up.wait_for("web       stopped", STOP_TIMEOUT_S)
    assert up.is_alive

    def is_over() -> bool:
        up.signal(signal.SIGINT)
        return not up.is_alive

    eventually(is_over, 15, poll_s=0.5)
    assert not done.exists()
    assert installation.left() == []


def test_ctrl_c_while_starting_leaves_nothing(installation: Installation) -> None:
    up = installation.begin_up()
    up.wait_for("valkey    ready", STOP_TIMEOUT_S)
    installation.collect()
    up.signal(signal.SIGINT)
    assert up.wait(STOP_TIMEOUT_S) == 0
    assert installation.left() == []


def test_services_stop_ends_what_up_left_in_the_background(installation: Installation) -> None:
    assert installation.celery("up", "--detach").returncode == 0
    installation.collect()
    assert len(installation.seen) > 7
    assert installation.services("stop").returncode == 0
    assert installation.left() == []


def test_services_stop_ends_up_in_the_foreground_too(installation: Installation) -> None:
    up = installation.up()
    assert installation.services("stop").returncode == 0
    assert up.wait(STOP_TIMEOUT_S) == 0
    assert "stopped by another command" in up.text()
    assert installation.left() == []


def test_when_up_is_killed_the_platform_goes_on_and_can_be_stopped(installation: Installation) -> None:
    installation.up().kill()
    assert installation.runs()
    installation.kill("worker1")
    eventually(installation.runs, 15)
    assert installation.services("stop").returncode == 0
    assert installation.left() == []


def test_orphans_of_supervisor_and_guard_are_ended_by_their_pids(installation: Installation) -> None:
    """Killed both at once there is nobody to bring them back, until somebody asks."""
    assert installation.celery("up", "--detach").returncode == 0
    installation.kill("guard")
    installation.kill("supervisor")
    assert "died and left programs behind" in installation.services("status").stderr
    assert installation.answers()
    assert installation.services("stop").returncode == 0
    assert installation.left() == []
    assert record.load(installation.place) is None


def test_services_start_replaces_orphans(installation: Installation) -> None:
    assert installation.celery("up", "--detach").returncode == 0
    installation.kill("guard")
    installation.kill("supervisor")
    orphans = installation.left()
    done = installation.services("start", "--json")
    assert (done.returncode, {s["state"] for s in json.loads(done.stdout)}) == (0, {"running"})
    assert not set(orphans) & set(installation.left())
    assert installation.runs()


def test_a_supervisor_that_is_told_to_end_is_not_brought_back(installation: Installation) -> None:
    up = installation.up()
    eventually(lambda: record.load(installation.place) is not None)
    installation.tell("supervisor", signal.SIGTERM)
    assert up.wait(STOP_TIMEOUT_S) == 0
    assert installation.left() == []


def _start_nap(installation: Installation, seconds: float, done: Path) -> None:
    began = done.with_suffix(".began")
    installation.nap(seconds, done, began)
    eventually(began.exists, 15)
