"""RabbitMQ's quorum queues: really of that kind, served without complaint, and steered like the others."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from kombu import Connection

from tasks import app
from tests.integration.queueing.conftest import start as start  # noqa: PLC0414
from tests.integration.queueing.conftest import state, submit
from tests.processes import Worker
from tests.waiting import eventually

pytestmark = pytest.mark.skipif(os.environ.get("TEST_QUEUE_TYPE") != "quorum", reason="TEST_QUEUE_TYPE is not quorum")


def test_a_worker_serves_quorum_queues_and_warns_of_nothing(start: Callable[..., Worker], broker_url: str) -> None:
    worker = start(concurrency=2)
    jobs = [submit("add", n, n) for n in range(20)]
    eventually(lambda: all(state(job) == "completed" for job in jobs))
    assert [line for line in worker.text().splitlines() if "WARNING" in line or "ERROR" in line] == []
    with Connection(broker_url) as connection, pytest.raises(connection.channel_errors, match="x-queue-type"):
        connection.default_channel.queue_declare("offload", durable=True, auto_delete=False)
    with Connection(broker_url) as connection, pytest.raises(connection.channel_errors, match="celery_delayed"):
        connection.default_channel.queue_declare("celery_delayed_0", passive=True)


def test_a_message_given_back_again_and_again_is_not_dropped(start: Callable[..., Worker], broker_url: str) -> None:
    start().stop()
    job = submit("add", 1, 2)
    with Connection(broker_url) as connection:
        channel = connection.default_channel
        for _ in range(30):
            message = eventually(lambda: channel.basic_get("offload"))
            channel.basic_reject(message.delivery_tag, requeue=True)
    start()
    eventually(lambda: state(job) == "completed")


def test_remote_control_reaches_the_worker(start: Callable[..., Worker]) -> None:
    start()
    (answer,) = app.control.inspect(timeout=5, limit=1).active_queues().values()
    assert {queue["name"] for queue in answer} >= {"offload", "batch"}


def test_a_countdown_warns_nobody(start: Callable[..., Worker], caplog: pytest.LogCaptureFixture) -> None:
    start()
    job = submit("add", 1, 2, countdown=1)
    eventually(lambda: state(job) == "completed")
    assert caplog.records == []


@pytest.mark.usefixtures("broker_url")
def test_a_worker_of_the_other_kind_of_queue_ends_with_a_sentence(start: Callable[..., Worker]) -> None:
    worker = start(ready=False, queue_type="classic")
    assert worker.wait() == 1
    assert "RabbitMQ has a queue made otherwise than PLATFORM_QUEUE_TYPE=classic asks for" in worker.text()
    assert "Traceback" not in worker.text()
