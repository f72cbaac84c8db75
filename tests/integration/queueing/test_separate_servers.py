"""Records in one Redis, queues in another: what holds a queue back is where the queue is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from subprocess import CompletedProcess

import pytest
import redis

from platform import embedded as server
from tests.integration.queueing.conftest import ON_RABBITMQ
from tests.processes import Worker
from tests.waiting import eventually

pytestmark = pytest.mark.skipif(ON_RABBITMQ, reason="about two Redis servers")


@pytest.fixture
def queues_elsewhere(platform_settings: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("q")
    url = server.ensure_running(folder).url
    platform_settings["broker_url"] = url
    yield url
    server.stop(folder)


def test_a_pause_holds_where_the_queues_are(
    queues_elsewhere: str, start: Callable[..., Worker], celery: Callable[..., CompletedProcess[str]]
) -> None:
    def state_of(job_id: str) -> str:
        return json.loads(celery("jobs", "show", job_id).stdout)["state"]

    def depth_of(name: str) -> int:
        return next(q["depth"] for q in json.loads(celery("queues", "ls", "--json").stdout) if q["name"] == name)

    start()
    assert celery("queues", "pause", "offload").returncode == 0
    with redis.Redis.from_url(queues_elsewhere) as client:
        assert client.hkeys("{platform}:queues:paused") == [b"offload"]
    job = celery("jobs", "submit", "tasks.files.count", "-a", '["/etc/hosts"]', "--queue", "offload").stdout.strip()
    celery("jobs", "submit", "tasks.files.count", "-a", '["/etc/hosts"]', "--queue", "batch", "--wait", "20")
    assert state_of(job) == "pending"
    assert depth_of("offload") == 1
    assert celery("queues", "resume", "offload").returncode == 0
    eventually(lambda: state_of(job) != "pending", 20)
