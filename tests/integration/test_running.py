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
from tasks import app

@app.task
def write(path, text):
    with open(path, "w") as file:
        file.write(text)
    return text
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
