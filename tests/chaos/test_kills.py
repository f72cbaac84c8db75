"""Workers and the server killed at random under load: nothing accepted is lost, nothing completes twice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from tests.chaos.accounting import Account
from tests.chaos.deployment import Deployment
from tests.chaos.killer import Killer
from tests.chaos.load import Load
from tests.chaos.report import report
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(3600)

JOBS = 5000
# After the last kill every job still to be run is run within this, in seconds.
SETTLING_S = 90
# From a worker's death to its job's next run, with the lease of 8 s that is the default.
MOST_RECOVERY_S = 15


def test_workers_and_valkey_are_killed_under_load(deploy: Callable[..., Deployment], scale: float, seed: int) -> None:
    deployment = deploy(workers=3)
    began = time.monotonic()
    load, killer = suffer(deployment, int(JOBS * scale), seed, outages=2)
    account = Account.settled(deployment, load.accepted, SETTLING_S * scale)
    tell("workers and Valkey killed", account, load, deployment, seed, time.monotonic() - began)
    hold(account, load, killer)


def suffer(deployment: Deployment, jobs: int, seed: int, outages: int) -> tuple[Load, Killer]:
    """Load, killed workers, and the broker killed ``outages`` times on the way; returns when all is submitted."""
    chance = random.Random(seed)
    load, killer = Load(deployment, jobs, seed), Killer(deployment, seed)
    load.start()
    killer.start()
    for part in range(1, outages + 1):
        turn = jobs * part / (outages + 1)
        eventually(lambda turn=turn: len(load.accepted) >= turn or load.is_done, 600, poll_s=0.2)
        deployment.kill_broker(away_s=chance.uniform(0.2, 4))
    eventually(lambda: load.is_done, 600, poll_s=0.5)
    killer.stop()
    return load, killer


def tell(name: str, account: Account, load: Load, deployment: Deployment, seed: int, took_s: float) -> None:
    slowest, longest = max(load.refusals, default=0), max(load.waits, default=0)
    report(
        name,
        account.summary(),
        f"{len(deployment.deaths)} workers killed, {len(deployment.outages)} outages",
        account.recovery(),
        f"{len(load.refusals)} refusals, the slowest after {slowest:.1f} s, the longest until accepted {longest:.1f} s",
        f"{took_s:.0f} s, seed {seed}",
    )


def hold(account: Account, load: Load, killer: Killer) -> None:
    assert (load.errors, killer.errors) == ([], [])
    assert account.unknown == []
    assert account.unfinished == []
    assert account.without_effect == []
    assert account.completions == len(set(load.accepted)) == len(load.accepted)
    assert account.repeated_without_cause == []
    assert account.slowest_recovery_s < MOST_RECOVERY_S
