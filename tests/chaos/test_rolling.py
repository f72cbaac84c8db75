"""Every worker told to end and started again, one after the other, under load: nothing lost, nothing twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.chaos.accounting import Account
from tests.chaos.deployment import Deployment
from tests.chaos.load import Load
from tests.chaos.report import report

pytestmark = pytest.mark.timeout(3600)

ROUNDS = 1
SETTLING_S = 60


def test_a_rolling_restart_under_load_loses_and_repeats_nothing(
    deploy: Callable[..., Deployment], scale: float, seed: int
) -> None:
    deployment = deploy(workers=3)
    load = Load(deployment, None, seed)
    load.start()
    stops_s = roll_all(deployment, max(1, int(ROUNDS * scale)))
    load.stop()
    account = Account.settled(deployment, load.accepted, SETTLING_S)
    slowest = f"{len(stops_s)} restarts, the slowest stop {max(stops_s):.1f} s"
    report("rolling restart", account.summary(), slowest, f"seed {seed}")
    assert load.errors == []
    assert account.lost == []
    assert account.completions == len(set(load.accepted)) == len(load.accepted)
    assert account.repeated == []
    assert {job["attempts"] for job in account.jobs.values()} == {1}


def roll_all(deployment: Deployment, rounds: int) -> list[float]:
    """Restart the workers in turn, each ``rounds`` times; how long each took to end, in seconds."""
    stops_s: list[float] = []
    for place in deployment.places * rounds:
        old = place.worker
        code, took_s = deployment.roll_worker(place)
        assert code == 0, old.tail()
        stops_s.append(took_s)
    return stops_s
