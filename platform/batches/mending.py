"""A worker's duty: what a program that died had left undone. Every step may be done by several workers at once.

Chunks that were never published are; a chunk whose job ended without it (a dead letter, a job cancelled by itself)
gives up the item that was at work and goes on with the others; callbacks that were decided on are published.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from platform.batches.chunks import CAREFUL, chunk_job_id
from platform.batches.publishing import publish_callbacks, publish_chunks
from platform.batches.register import HandOver, batches
from platform.jobs.ledger import ledger
from platform.jobs.states import FINAL, State

log = logging.getLogger(__name__)

INTERVAL_S = 2.0
#: A batch is looked after this often, in seconds; so many of them in one round.
AGAIN_AFTER_S = 5.0
AT_ONCE = 20
#: What was decided on so long ago and is not published has lost its publisher.
OVERDUE_S = 5.0
#: A batch that never became whole is forgotten after so long; one whose maker adds nothing any more is closed.
UNFINISHED_MS = 3_600_000
LONGEST_OPEN_MS = 86_400_000


def mend() -> None:
    """One round. Raises BrokerUnavailable; a later round does the rest."""
    for batch_id in batches().due(AT_ONCE, AGAIN_AFTER_S):
        _mend(batch_id)
    for batch_id, kind in batches().unpublished_callbacks(OVERDUE_S):
        publish_callbacks(batch_id, [kind])


def forget_old(limit: int) -> int:
    """Forget up to so many batches whose time to be kept is over; returns how many."""
    expired = batches().expired(limit)
    for batch_id in expired:
        batches().forget(batch_id)
    return len(expired)


def _mend(batch_id: str) -> None:
    fields = batches().fields(batch_id)
    if not fields:
        return
    idle_ms = batches().server_ms() - int(fields.get("added_at") or 0)
    if fields.get("is_ready") != "1":
        if idle_ms > UNFINISHED_MS:
            batches().forget(batch_id)
        return
    if fields.get("is_open") == "1" and idle_ms > LONGEST_OPEN_MS:
        publish_callbacks(batch_id, batches().add(batch_id, "closed", 0, 1, "last")[1])
    _mend_chunks(batch_id, fields)


def _mend_chunks(batch_id: str, fields: dict[str, str]) -> None:
    chunks = batches().chunks(batch_id)
    ids = {number: chunk_job_id(batch_id, number) for number in chunks}
    states = _states(list(ids.values()))
    unknown = [number for number, job_id in ids.items() if job_id not in states]
    publish_chunks(batch_id, unknown, fields)
    for number, job_id in ids.items():
        state, error = states.get(job_id, (None, None))
        if state in FINAL:
            log.warning(
                "chunk %s of batch %s: its job %s is %s; the batch goes on without it", number, batch_id, job_id, state
            )
            _bury(batch_id, number, chunks[number], state, error or "")


def _bury(batch_id: str, number: int, chunk: tuple[str, str, Sequence[int]], state: State, error: str) -> None:
    attempt, flags, indices = chunk
    letters = batches().states(batch_id)
    at_work = [index for index in indices if letters[index] == "r"]
    waiting = [index for index in indices if letters[index] in "pa"]
    what = HandOver()
    if state == State.CANCELLED:
        what.cancelled = indices
    elif state == State.COMPLETED:
        what.interrupted, what.chunks = at_work, [(flags, sorted([*at_work, *waiting]))]
    elif len(at_work) > 1:
        what.interrupted, what.chunks = at_work, [(CAREFUL, at_work), *([("", waiting)] if waiting else [])]
    else:  # the one that ran, or, if nothing ever did, all of them: another run would end the same way
        what.failed, what.error = at_work or waiting, f"-{error}"
        what.chunks = [(flags, waiting)] if at_work and waiting else []
    answer = batches().hand_over(batch_id, number, attempt, what)
    if answer is not None:
        publish_chunks(batch_id, answer[0])
        publish_callbacks(batch_id, answer[1])


def _states(job_ids: Sequence[str]) -> dict[str, tuple[State, str]]:
    """The states and errors of those of the jobs that are known."""
    client, channel = ledger().client, ledger().channel
    with client.pipeline(transaction=False) as pipe:
        for job_id in job_ids:
            pipe.hmget(channel(job_id), ["state", "error"])
        found: Any = pipe.execute() if job_ids else []
    return {
        job_id: (State(state), error or _unknown_error())
        for job_id, (state, error) in zip(job_ids, found, strict=True)
        if state
    }


def _unknown_error() -> str:
    return msgspec.json.encode({"type": "failed", "message": "the job that ran it ended without a word"}).decode()
