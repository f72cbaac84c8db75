"""Which queues a RabbitMQ worker consumes, by Celery's own table."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from celery.app.amqp import Queues

from platform.queueing import consumption
from platform.queueing.consumption import Consumption
from platform.queues import declared
from platform.settings import Settings

# While its connection is lost a consumer has none for tasks; the table says what the next one will consume.
WITHOUT_CONNECTION = SimpleNamespace(task_consumer=None)


@pytest.fixture
def queues() -> Queues:
    table = Queues(declared(Settings()))
    table.select(["offload", "batch"])
    return table


def test_a_paused_queue_is_left_out_until_it_is_resumed(queues: Queues) -> None:
    worker = Consumption(queues)
    worker._apply(WITHOUT_CONNECTION, {"offload", "fanout"})
    assert (list(queues.consume_from), worker.withheld) == (["batch"], {"offload"})
    worker._apply(WITHOUT_CONNECTION, {"offload", "fanout"})
    worker._apply(WITHOUT_CONNECTION, {"fanout"})
    assert (set(queues.consume_from), worker.withheld) == ({"offload", "batch"}, set())


def test_all_may_be_left_out(queues: Queues) -> None:
    worker = Consumption(queues)
    worker._apply(WITHOUT_CONNECTION, {"offload", "batch"})
    assert list(queues.consume_from) == []
    worker._apply(WITHOUT_CONNECTION, set())
    assert set(queues.consume_from) == {"offload", "batch"}


def test_what_an_operator_cancelled_by_remote_control_stays_cancelled(queues: Queues) -> None:
    worker = Consumption(queues)
    queues.deselect("offload")
    worker._apply(WITHOUT_CONNECTION, {"offload"})
    worker._apply(WITHOUT_CONNECTION, set())
    assert list(queues.consume_from) == ["batch"]


def test_a_program_that_consumes_nothing_withholds_nothing() -> None:
    assert consumption.withheld() == set()
