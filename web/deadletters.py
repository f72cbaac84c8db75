"""``/dead-letters``: what will not be delivered again, to be looked at, mended, replayed or given up."""

from __future__ import annotations

import time
from typing import Any

from flask import g

from platform.deadletters import acts
from platform.deadletters.letter import Letter, LetterState
from platform.deadletters.register import Filter, dead_letters
from platform.jobs.ledger import ledger
from tasks.deadletters import replay as replay_task
from web.jobs import submission
from web.routing import Routes
from web.schemas.deadletters import (
    DeadLetterAnswer,
    DeadLetterEdit,
    DeadLetterFilter,
    DeadLetterInFull,
    DeadLetterPage,
    ReplayOfManyAnswer,
    ReplayOfManyRequest,
)
from web.schemas.paging import page_of

# The ids are UUIDs, so that "/dead-letters/replay" is no letter.
routes = Routes(tag="Dead letters")


@routes.get(
    "/dead-letters",
    query=DeadLetterFilter,
    auth="operator",
    answers={200: DeadLetterPage},
    summary="List dead letters, last died first",
)
def index(query: DeadLetterFilter) -> Any:
    """Those that are dead, unless `?state=` asks for those replayed or discarded."""
    wanted = Filter(query.reason, query.task, query.queue)
    page = dead_letters().list(wanted, LetterState(query.state), query.offset, query.limit)
    return page_of([letter.as_dict() for letter in page.items], page.total, query)


@routes.get(
    "/dead-letters/<uuid:dead_letter_id>",
    auth="operator",
    answers={200: DeadLetterInFull},
    problems=(404,),
    summary="One dead letter, in full",
)
def show(dead_letter_id: str) -> Any:
    """With the message's bytes, its headers, and what became of it."""
    return _in_full(dead_letters().get(dead_letter_id))


@routes.patch(
    "/dead-letters/<uuid:dead_letter_id>",
    body=DeadLetterEdit,
    auth="operator",
    answers={200: DeadLetterInFull},
    problems=(404, 409),
    summary="Edit a dead letter's arguments",
)
def edit(dead_letter_id: str, body: DeadLetterEdit) -> Any:
    """What is not given stays; a replay sends the new ones. `original` has what came. 409 unless it is dead."""
    return _in_full(acts.edit(dead_letter_id, g.caller.email, body.given("args"), body.given("kwargs")))


@routes.post(
    "/dead-letters/<uuid:dead_letter_id>/replay",
    auth="operator",
    answers={202: DeadLetterAnswer},
    problems=(404, 409),
    summary="Replay a dead letter",
)
def replay(dead_letter_id: str) -> Any:
    """The original message, or its edited form, goes to its queue again with a fresh retry count. 409 unless it is
    dead."""
    letter = acts.replay(dead_letter_id, g.caller.email)
    return letter.as_dict(), 202, {"Location": f"/jobs/{letter.job_id}"} if letter.job_id else {}


@routes.post(
    "/dead-letters/replay",
    body=ReplayOfManyRequest,
    auth="operator",
    answers={202: ReplayOfManyAnswer},
    summary="Replay all dead letters that match",
)
def replay_many(body: ReplayOfManyRequest) -> Any:
    """Done by a job, oldest first, which `DELETE /jobs/{id}` stops between two letters. Letters that die again
    meanwhile are not replayed again. An empty object means all."""
    chosen, rate = body.model_dump(include={"reason", "task", "queue"}), body.rate_per_s
    wanted, until_ms = Filter(**chosen), time.time_ns() // 1_000_000
    matching = dead_letters().list(wanted, limit=0).total
    told = {"until_ms": until_ms, "actor": g.caller.email, "matching": matching, "rate_per_s": rate}
    with acts.of_many("replay", g.caller.email, wanted, rate_per_s=rate, matching=matching):
        job_id = replay_task.apply_async((), chosen | told, **submission()).id
    return ledger().get(job_id).as_dict() | {"matching": matching}, 202, {"Location": f"/jobs/{job_id}"}


@routes.delete(
    "/dead-letters/<uuid:dead_letter_id>",
    auth="operator",
    answers={200: DeadLetterAnswer},
    problems=(404, 409),
    summary="Discard a dead letter",
)
def discard(dead_letter_id: str) -> Any:
    """It is listed under `?state=discarded` for a while; its job stays failed. 409 unless it is dead."""
    return acts.discard(dead_letter_id, g.caller.email).as_dict()


def _in_full(letter: Letter) -> dict[str, Any]:
    return letter.in_full(list(dead_letters().history(letter)))
