"""The unique tasks of the module ``singles``, submitted by this process and run by real workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery
from kombu import pools

from platform.jobs.ledger import Ledger, ledger
from tests import processes

SAMPLES = Path(__file__).resolve().parent.parent.parent / "samples"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as text_client:
        yield text_client


@pytest.fixture(autouse=True)
def sender(broker_url: str) -> Celery:
    """The app in this process, which sends to this run's broker and has declared nothing there yet."""
    from tasks import app

    pools.reset()
    app._pool = app.amqp._producer_pool = None
    return app


@pytest.fixture
def records(redis_url: str) -> Ledger:
    """This process's own ledger, on the session's empty Valkey."""
    return ledger()


@pytest.fixture
def locks(client: redis.Redis) -> Callable[[], dict[str, str]]:
    """Every lock there is: the job each names, by the key."""
    return lambda: {key: client.get(key) or "" for key in client.scan_iter("*unique:*")}


@pytest.fixture
def new_worker(worker: Callable[..., processes.Worker]) -> Callable[..., processes.Worker]:
    """A worker that knows the module ``singles``; arguments as of the fixture ``worker``."""
    return lambda *args, **more: worker(*args, imports="singles", folder=SAMPLES, **more)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Where tasks leave a line for every run, and wait for the file ``gate``."""
    return str(tmp_path)


@pytest.fixture
def runs(tmp_path: Path) -> Callable[[], list[str]]:
    file = tmp_path / "runs"
    return lambda: file.read_text().split() if file.exists() else []


@pytest.fixture
def open_gate(tmp_path: Path) -> Callable[[], None]:
    return (tmp_path / "gate").touch
