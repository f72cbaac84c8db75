"""Queues that RabbitMQ has and the settings ask for otherwise: said in a sentence to whoever publishes."""

from __future__ import annotations

import os
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

from tests.integration.conftest import Shop
from tests.integration.queueing.conftest import ON_RABBITMQ

OF_THIS_RUN = os.environ.get("TEST_QUEUE_TYPE", "classic")
THE_OTHER = {"classic": "quorum", "quorum": "classic"}[OF_THIS_RUN]

pytestmark = pytest.mark.skipif(not ON_RABBITMQ, reason="queues of Redis are of one kind")


def test_a_command_says_what_to_do(celery: Callable[..., CompletedProcess[str]]) -> None:
    done = celery("jobs", "submit", "tasks.files.count", "-a", '["/etc/hosts"]', queue_type=THE_OTHER)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert f"RabbitMQ has a queue made otherwise than PLATFORM_QUEUE_TYPE={THE_OTHER} asks for" in done.stderr


def test_a_request_is_503_and_no_job_is_recorded(shop: Shop) -> None:
    web = shop.start_web(queue_type=THE_OTHER)
    ann = shop.caller(web)
    answer = ann.post("/jobs", json={"task": "shop.add", "args": [1, 2]})
    assert (answer.status_code, "PLATFORM_QUEUE_TYPE" in answer.json()["detail"]) == (503, True)
    assert ann.get("/jobs").json()["total"] == 0
