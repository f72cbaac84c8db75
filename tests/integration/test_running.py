"""One job all the way, with nothing but real programs: the proof that the fixtures hold what they promise."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import Web, Worker
from tests.waiting import eventually

SHOP = """
import gc
from tasks import app

@app.task
def write(path, text):
    with open(path, "w") as file:
        file.write(text)
    return text

@app.task
def spared():
    return gc.get_freeze_count()
"""


HANG = """
import logging
import time
from celery.signals import worker_shutting_down

@worker_shutting_down.connect
def hang(**_):
    for handler in logging.getLogger().handlers:
        handler.acquire()  # as when the signal came in the middle of a line
    ends_at = time.monotonic() + 60
    while time.monotonic() < ends_at:
        try:
            time.sleep(1)
        except BaseException:
            pass
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a user's module of tasks."""
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


def test_a_users_task_runs_on_a_worker(worker: Callable[..., Worker], shop: Path) -> None:
    from tasks import app

    worker(folder=shop, imports="shop")
    app.send_task("shop.write", (str(shop / "done"), "hello"))
    eventually(lambda: (shop / "done").exists() and (shop / "done").read_text() == "hello")


def test_the_collector_leaves_alone_what_was_loaded_before_the_fork(worker: Callable[..., Worker], shop: Path) -> None:
    from tasks import app

    worker(folder=shop, imports="shop")
    assert app.send_task("shop.spared").get(timeout=20) > 10_000


def test_a_worker_stops_at_sigterm(worker: Callable[..., Worker]) -> None:
    started = worker()
    started.signal(signal.SIGTERM)
    assert started.wait() == 0


def test_the_front_door_answers(web: Callable[..., Web]) -> None:
    assert web().http.get("/health").status_code == 200


def test_the_front_door_stops_at_sigterm(web: Callable[..., Web]) -> None:
    started = web()
    started.http.close()  # an open connection is waited for
    started.signal(signal.SIGTERM)
    assert started.wait() == 0


def test_a_command_reads_the_tests_settings(celery: Callable[..., object], data_dir: Path) -> None:
    shown = celery("config", "show", "--json", http_port=8123)
    assert "8123" in json.dumps(getattr(shown, "stdout", ""))


def test_a_worker_that_cannot_end_keeps_its_lease_no_longer_than_a_dead_one(
    worker: Callable[..., Worker], tmp_path: Path
) -> None:
    """Until it is ended its heart beats, and nobody else gets what it holds."""
    (tmp_path / "hang.py").write_text(HANG)
    started = worker(folder=tmp_path, imports="hang", lease_ttl_s=2, shutdown_timeout_s=0)
    started.signal(signal.SIGTERM)
    assert started.wait(8) == 1
    assert "the worker did not end by itself" in started.text()
