"""The platform under test, its seed, and the report at the end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.chaos import report
from tests.chaos.brokers import RabbitMQ, Server
from tests.chaos.deployment import Deployment


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.chaos)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if report.LINES:
        terminalreporter.section("chaos")
        for line in report.LINES:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def scale(pytestconfig: pytest.Config) -> float:
    """How many times larger than usual: ``--chaos-scale=N`` or ``CHAOS_SCALE``."""
    return pytestconfig.getoption("--chaos-scale")


@pytest.fixture(scope="session")
def seed() -> int:
    """``CHAOS_SEED`` repeats a run's choices; timing stays the machine's own."""
    return int(os.environ.get("CHAOS_SEED") or time.time())


@pytest.fixture
def deploy(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Deployment]]:
    """``deploy(workers=3, broker=…, lease_ttl_s=4)``: start a platform; stopped after the test."""
    made: list[Deployment] = []

    def start(workers: int | Sequence[str] = 3, broker: Server | None = None, **options: object) -> Deployment:
        made.append(Deployment(tmp_path_factory.mktemp("c"), broker, **options))
        made[-1].start(workers)
        return made[-1]

    yield start
    for deployment in made:
        deployment.stop()


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """A private RabbitMQ node for the whole run; each deployment takes a ``virtual_host()`` of its own."""
    if not RabbitMQ.is_installed():
        pytest.skip("rabbitmq-server is not installed")
    node = RabbitMQ(tmp_path_factory.mktemp("r"))
    node.start()
    yield node
    node.stop()


@pytest.fixture(scope="session", params=["valkey", "classic", "quorum"])
def standing(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """A platform with one worker that tests share, on each broker; they leave it alive, with nothing to do."""
    options = {"concurrency": 4, "lease_ttl_s": 2, "max_deaths": 3}
    if request.param == "valkey":
        deployment = Deployment(tmp_path_factory.mktemp("c"), **options)
    else:
        host = request.getfixturevalue("rabbitmq").virtual_host()
        deployment = Deployment(tmp_path_factory.mktemp("c"), host, queue_type=request.param, **options)
    deployment.start(workers=1)
    yield deployment
    deployment.stop()
