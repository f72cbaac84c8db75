"""The same on RabbitMQ's quorum queues, its node killed or restarted on the way; records stay in Valkey."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.chaos.accounting import Account
from tests.chaos.brokers import RabbitMQ
from tests.chaos.deployment import Deployment
from tests.chaos.load import Load
from tests.chaos.report import report
from tests.chaos.test_kills import hold, suffer, tell
from tests.chaos.test_rolling import roll_all
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(3600)

JOBS = 600
SETTLING_S = 90


def test_workers_and_rabbitmq_are_killed_under_load(
    deploy: Callable[..., Deployment], rabbitmq: RabbitMQ, scale: float, seed: int
) -> None:
    deployment = deploy(workers=3, broker=rabbitmq.virtual_host(), queue_type="quorum")
    began = time.monotonic()
    load, killer = suffer(deployment, int(JOBS * scale), seed, outages=1)
    account = Account.settled(deployment, load.accepted, SETTLING_S * scale)
    tell("workers and RabbitMQ killed", account, load, deployment, seed, time.monotonic() - began)
    hold(account, load, killer)


def test_a_rolling_restart_and_one_of_rabbitmq_lose_and_repeat_nothing(
    deploy: Callable[..., Deployment], rabbitmq: RabbitMQ, scale: float, seed: int
) -> None:
    deployment = deploy(workers=3, broker=rabbitmq.virtual_host(), queue_type="quorum")
    load = Load(deployment, None, seed)
    load.start()
    eventually(lambda: len(load.accepted) >= 100, 60)
    deployment.restart_broker()
    stops_s = roll_all(deployment, max(1, int(scale)))
    load.stop()
    account = Account.settled(deployment, load.accepted, SETTLING_S)
    slowest = f"{len(stops_s)} restarts, the slowest stop {max(stops_s):.1f} s"
    report("rolling restart on RabbitMQ, restarted itself", account.summary(), slowest, f"seed {seed}")
    assert load.errors == []
    assert account.lost == []
    assert account.completions == len(set(load.accepted)) == len(load.accepted)
    assert account.repeated == []
