"""Publishing by the broker's own client, where queues are not beside the records: on RabbitMQ with a confirm each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from platform.bulk.report import ChunkFailed
from platform.errors import BrokerUnavailable, QueueMadeOtherwise
from platform.jobs.ledger import ledger
from platform.outbox import Posted, publish_one
from platform.queues import is_made_otherwise
from platform.settings import settings
from platform.store import AWAY


def publish(app: Any, waiting: Sequence[Posted]) -> list[str]:
    """Record the jobs in one call, then publish their messages in order; returns what the records said of each.

    Raises ChunkFailed: the job whose message was not confirmed is doubtful, those after it are withdrawn.
    """
    ids = [posted.job.job_id for posted in waiting]
    try:
        verdicts = list(ledger().create_all([posted.job for posted in waiting]))
    except (RedisError, BrokerUnavailable) as exc:  # some may be on record; published is none
        raise ChunkFailed(doubtful=ids) from exc
    done = 0
    try:
        with app.producer_or_acquire() as producer:
            for posted, verdict in zip(waiting, verdicts, strict=True):
                if verdict != "final":
                    publish_one(producer, posted.envelope)
                done += 1
    except Exception as exc:  # noqa: BLE001 - passed on as the cause
        for job_id, verdict in list(zip(ids, verdicts, strict=True))[done:]:
            if verdict == "created":
                with suppress(
                    RedisError, BrokerUnavailable
                ):  # then it waits for a message that comes with a repetition
                    ledger().withdraw(job_id)
        raise ChunkFailed(ids[:done], ids[done : done + 1], ids[done + 1 :]) from _meaning(exc)
    return verdicts


def _meaning(exc: Exception) -> Exception:
    if is_made_otherwise(exc):
        return QueueMadeOtherwise(settings().queue_type, str(exc))
    if isinstance(exc, (OperationalError, OSError, *AWAY)):
        return BrokerUnavailable(f"the broker did not take the job: {exc}; try again shortly")
    return exc
