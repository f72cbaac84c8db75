"""Workers of the module ``shop`` on this run's broker, and its jobs submitted from here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from platform.jobs.ledger import ledger
from tasks import app
from tests.integration.conftest import SAMPLES
from tests.processes import Worker
from tests.waiting import eventually

ON_RABBITMQ = os.environ.get("TEST_BROKER_URL", "").startswith("amqp")


@pytest.fixture
def start(worker: Callable[..., Worker], tmp_path: Path) -> Callable[..., Worker]:
    """Start a worker with a short lease."""
    shutil.copy(SAMPLES / "shop.py", tmp_path)

    def go(options: tuple[str, ...] = (), **more: object) -> Worker:
        settings = {"imports": "shop", "folder": tmp_path, "lease_ttl_s": 2.0} | more
        return worker(*options, **settings)

    return go


def submit(name: str, *args: object, **options: object) -> str:
    return app.send_task(f"shop.{name}", args, **options).id


def state(job_id: str) -> str:
    return ledger().get(job_id).state


def works_on(queue: str = "batch") -> None:
    """Some worker takes jobs from this queue, so it had its chance with every other as well."""
    job = submit("add", 1, 2, queue=queue)
    eventually(lambda: state(job) == "completed", 20)
