"""Publishing what a batch's scripts have decided: its chunks and its callbacks. Publishing one twice is one job."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from celery import current_app
from kombu.exceptions import OperationalError

from platform import queues
from platform.batches.chunks import CHUNK_TASK, callback_job_id, chunk_job_id
from platform.batches.register import batches
from platform.errors import NotUnique
from platform.outbox import collecting
from platform.store import AWAY

log = logging.getLogger(__name__)

#: What publishing raises where a broker is away; also a BrokerUnavailable, and Celery's own, before a message is made.
UNPUBLISHED = (OperationalError, OSError, *AWAY)
#: Chunks published before the next ones are made: what is made waits in memory.
AT_ONCE = 100


def publish_chunks(
    batch_id: str, numbers: Sequence[int], fields: Mapping[str, str] | None = None, countdown_s: float = 0.0
) -> None:
    """A job for each chunk. Raises BrokerUnavailable; what was not published then, a duty publishes later."""
    if not numbers:
        return
    options = _options(fields or batches().fields(batch_id))
    for first in range(0, len(numbers), AT_ONCE):
        with collecting() as outbox:
            for number in numbers[first : first + AT_ONCE]:
                current_app.send_task(
                    CHUNK_TASK,
                    [batch_id, number],
                    task_id=chunk_job_id(batch_id, number),
                    countdown=countdown_s or None,
                    parent_id=batch_id,
                    queue=queues.BATCH,
                    **options,
                )
            outbox.send()


def publish_accepted(batch_id: str, numbers: Sequence[int]) -> None:
    """A job for each chunk; what cannot be published now, a duty publishes later.

    Its items are in the record and will be run: whoever gave them must not be told that they are not accepted.
    """
    try:
        publish_chunks(batch_id, numbers)
    except UNPUBLISHED as exc:
        log.warning("chunks of batch %s could not be published now; they will be: %s", batch_id, exc)


def publish_callbacks(batch_id: str, kinds: Sequence[str]) -> None:
    """The job of each callback; one that cannot be published now, a duty publishes later.

    So it does with one whose task is unique, while another job stands for the call: what was decided on is run, and by
    the rule of its task.
    """
    for kind in kinds:
        try:
            if _publish_callback(batch_id, kind, batches().fields(batch_id)):
                batches().callback_published(batch_id, kind)
            else:
                batches().callback_put_off(batch_id, kind)
        except UNPUBLISHED:
            log.warning("%s of batch %s could not be published now; it will be", kind, batch_id)


def _publish_callback(batch_id: str, kind: str, fields: Mapping[str, str]) -> bool:
    """False if another job stands for this one."""
    if kind not in fields:
        return True  # its batch was forgotten meanwhile
    told, job_id = msgspec.json.decode(fields[kind]), callback_job_id(batch_id, kind)
    try:
        # Not ``apply_async``: that refuses what does not fit the task, which is for the callback's own job to tell.
        result = current_app.send_task(
            told["task"],
            kwargs={**told["kwargs"], "batch_id": batch_id},
            task_id=job_id,
            task_type=current_app.tasks.get(told["task"]),
            parent_id=batch_id,
            headers=_owner(fields),
            priority=_priority(fields),
        )
    except NotUnique as exc:
        log.info("%s of batch %s waits: %s", kind, batch_id, exc)
        return False
    return bool(result.id == job_id)


def _options(fields: Mapping[str, str]) -> dict[str, Any]:
    limits = {name: float(fields[name]) for name in ("time_limit", "soft_time_limit") if fields.get(name)}
    return {"headers": _owner(fields), "priority": _priority(fields), **limits}


def _priority(fields: Mapping[str, str]) -> int:
    return int(fields.get("priority") or queues.DEFAULT_PRIORITY)


def _owner(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: fields.get(name, "") for name in ("owner", "app_id")}
