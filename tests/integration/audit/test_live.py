"""The workers there are: stopped, doubled, started with the wrong code."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from platform import registry
from platform.audit import live as checks
from platform.audit.subject import Subject
from platform.settings import settings
from tasks import app
from tests import processes
from tests.integration.audit.conftest import url_of

SHOP = Path(__file__).resolve().parent.parent.parent / "samples" / "shop.py"
PREFIX = "{platform}:"
IS_RABBITMQ = os.environ.get("TEST_BROKER_URL", "").startswith("amqp")
on_redis = pytest.mark.skipif(IS_RABBITMQ, reason="leases and lists are of Redis")
on_rabbitmq = pytest.mark.skipif(not IS_RABBITMQ, reason="RabbitMQ sends messages ahead")

New = Callable[..., Subject]
Start = Callable[..., processes.Worker]


def all_of(subject: Subject) -> dict[str, str]:
    return {found.code: found.severity.value for check in checks.CHECKS for found in check(subject)}


@pytest.fixture
def shop_folder(tmp_path: Path) -> Path:
    shutil.copy(SHOP, tmp_path / "shop.py")
    return tmp_path


def submit(**options: Any) -> Any:
    return app.tasks["tasks.files.digest"].apply_async(("/nowhere",), **options)


@pytest.fixture(autouse=True)
def _loaded(broker_url: str) -> None:
    app.load_everything()


def test_nobody_at_work_is_a_note(new_subject: New) -> None:
    assert all_of(new_subject()) == {"no-workers": "note"}


def test_a_worker_at_work_is_silent(new_subject: New, worker: Start) -> None:
    worker()
    submit().get(timeout=20, propagate=False)
    assert all_of(new_subject()) == {}


@on_redis
def test_two_workers_with_one_name_are_a_warning(new_subject: New, worker: Start) -> None:
    worker("-n", "twin@%h")
    assert "worker-names-clash" not in all_of(new_subject())
    worker("-n", "twin@%h")
    assert all_of(new_subject())["worker-names-clash"] == "warning"


def test_a_worker_that_does_not_know_a_task_is_an_error(new_subject: New, worker: Start, shop_folder: Path) -> None:
    worker(imports="shop", folder=shop_folder)
    assert all_of(new_subject()) == {}
    worker()
    (found,) = [one for check in checks.CHECKS for one in check(new_subject())]
    assert (found.code, found.severity) == ("worker-lacks-tasks", "error")
    assert "does not know Calc.double" in found.problem


def test_a_worker_that_does_not_answer_is_a_warning(new_subject: New, worker: Start) -> None:
    stuck = worker()
    os.kill(stuck.pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        assert all_of(new_subject())["worker-silent"] == "warning"
    finally:
        os.kill(stuck.pid, signal.SIGCONT)
    assert time.monotonic() - began < 6


def test_a_worker_of_another_pool_is_a_warning(new_subject: New, worker: Start) -> None:
    worker("-P", "threads")
    assert all_of(new_subject()) == {"worker-pool-without-limits": "warning"}


@on_rabbitmq
def test_a_worker_that_hoards_is_a_warning(new_subject: New, worker: Start) -> None:
    worker("--prefetch-multiplier=8")
    assert all_of(new_subject())["worker-hoards"] == "warning"


@on_redis
def test_a_worker_of_redis_cannot_hoard(new_subject: New, worker: Start) -> None:
    worker("--prefetch-multiplier=8")
    assert all_of(new_subject()) == {}


def test_a_worker_of_stages_holds_batches_and_does_not_hoard(new_subject: New, worker: Start) -> None:
    worker("-Q", "pipeline.write")
    assert "worker-hoards" not in all_of(new_subject())


@pytest.mark.parametrize(("ahead_s", "severity"), [(30.0, "warning"), (-300.0, "error")])
def test_a_worker_whose_clock_is_wrong_is_found(
    new_subject: New, worker: Start, embedded: redis.Redis, ahead_s: float, severity: str
) -> None:
    """Its line in the registry is as a machine with another time would write it."""
    worker()
    (line,) = registry.workers()
    spoilt = line | {"name": "worker@elsewhere", "seen": time.time() + ahead_s}
    embedded.set(f"{PREFIX}worker:worker@elsewhere", json.dumps(spoilt), ex=registry.TTL_S)
    embedded.sadd(f"{PREFIX}workers", "worker@elsewhere")
    (found,) = checks.clocks(new_subject())
    assert (found.code, found.severity) == ("clock-wrong", severity)
    assert "worker@elsewhere" in found.problem


def test_workers_of_another_version_and_of_other_queues_are_a_warning(
    new_subject: New, worker: Start, embedded: redis.Redis
) -> None:
    worker()
    (line,) = registry.workers()
    older = line | {"name": "older@elsewhere", "release": "0.0.1", "queues": ["offload", "theirs"]}
    embedded.set(f"{PREFIX}worker:older@elsewhere", json.dumps(older), ex=registry.TTL_S)
    embedded.sadd(f"{PREFIX}workers", "older@elsewhere")
    found = {one.code for one in checks.disagreeing(new_subject())}
    assert found == {"workers-of-different-versions", "workers-serve-unknown-queues"}


def test_a_store_that_goes_away_raises_nothing(new_subject: New, valkey: Callable[..., redis.Redis]) -> None:
    from platform.audit.examination import examine

    client = valkey("--appendonly", "yes")
    subject = new_subject(broker_url=url_of(client), redis_url=url_of(client))
    _ = subject.looked_at
    client.shutdown(nosave=True)
    assert "not-examined" in {one.code for one in examine(subject).findings}
    assert settings()  # this process's own are untouched
