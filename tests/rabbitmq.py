"""What earlier tests left in RabbitMQ, removed through AMQP alone: no management plug-in, no rights of root."""

from __future__ import annotations

import os
import re
from pathlib import Path

from kombu import Connection

SAMPLES = Path(__file__).parent / "samples"


def settings() -> dict[str, str]:
    """Settings of every program of this run: the broker of ``TEST_BROKER_URL``, queues of ``TEST_QUEUE_TYPE``."""
    asked = {"broker_url": os.environ.get("TEST_BROKER_URL"), "queue_type": os.environ.get("TEST_QUEUE_TYPE")}
    return {name: value for name, value in asked.items() if value}


def clear(url: str) -> None:
    """Delete the platform's queues with everything in them, and declare them again.

    This process declares a queue once per connection: it would go on publishing to what is not there any more.
    """
    from tasks import app

    with Connection(url, connect_timeout=5) as connection:
        channel = connection.default_channel
        for name in queue_names():
            channel.queue_delete(name)
        for queue in app.amqp.queues.values():
            queue(channel).declare()


def queue_names() -> list[str]:
    """This process's, and those of the stages in the samples, which only the programs that import them know."""
    from tasks import app

    stages = (name for file in SAMPLES.glob("*.py") for name in re.findall(r'@stage\("(\w+)"', file.read_text()))
    theirs = (f"pipeline.{name}" for name in stages)
    return sorted({*app.amqp.queues, *(q.name for q in app.amqp.queues.values()), *theirs})
