"""``/dead-letters`` as generators of requests (see ``web.client.exchange``); for operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from web.client.exchange import Flow, Request, path, preferences, read
from web.client.models import DeadLetter, DeathReason, Job, LetterState, Page

PAGE_SIZE = 200


def get(dead_letter_id: str) -> Flow[DeadLetter]:
    """The dead letter in full: with ``message``, ``original`` and ``history``. Raises NotFoundError."""
    response = yield Request("GET", path("dead-letters", dead_letter_id))
    return read(response, DeadLetter)


def edit(
    dead_letter_id: str, *, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None
) -> Flow[DeadLetter]:
    """Give it other arguments, which a replay sends; None leaves them as they are.

    Raises NotFoundError; APIError 409 unless it is dead and its bytes are a message.
    """
    body = {name: value for name, value in (("args", args), ("kwargs", kwargs)) if value is not None}
    response = yield Request("PATCH", path("dead-letters", dead_letter_id), body=body)
    return read(response, DeadLetter)


def replay(dead_letter_id: str, *, idempotency_key: str | None = None) -> Flow[DeadLetter]:
    """Send its message to its queue again, with a fresh retry count; ``job_id`` is the job to wait for.

    Raises NotFoundError; APIError 409 unless it is dead.
    """
    request = Request("POST", path("dead-letters", dead_letter_id, "replay"), **preferences(None, idempotency_key))
    response = yield request
    return read(response, DeadLetter)


def replay_all(
    *,
    reason: DeathReason | None = None,
    task: str | None = None,
    queue: str | None = None,
    rate_per_s: float | None = None,
    idempotency_key: str | None = None,
) -> Flow[Job]:
    """Replay all that match, at most ``rate_per_s`` letters a second; the job that does it can be cancelled.

    Its ``result`` is ``{"replayed", "left_out", "why"}``.
    """
    given = {"reason": reason, "task": task, "queue": queue, "rate_per_s": rate_per_s}
    body = {name: value for name, value in given.items() if value is not None}
    response = yield Request("POST", "/dead-letters/replay", body=body, **preferences(None, idempotency_key))
    return read(response, Job)


def discard(dead_letter_id: str) -> Flow[DeadLetter]:
    """Give it up; its job stays failed. Raises NotFoundError; APIError 409 unless it is dead."""
    response = yield Request("DELETE", path("dead-letters", dead_letter_id))
    return read(response, DeadLetter)


class Listing:
    """All dead letters that match, last died first, read page by page; none shows twice."""

    def __init__(
        self,
        reason: DeathReason | None = None,
        task: str | None = None,
        queue: str | None = None,
        state: LetterState = "dead",
    ):
        self.has_more = True
        self._query = {"reason": reason, "task": task, "queue": queue, "state": state}
        self._number = 0
        self._seen: set[str] = set()

    def next(self) -> Flow[list[DeadLetter]]:
        """The next page's letters, perhaps none; to be asked for while ``has_more``."""
        self._number += 1
        query = {**self._query, "page": self._number, "limit": PAGE_SIZE}
        response = yield Request("GET", "/dead-letters", query=query)
        page = read(response, Page[DeadLetter])
        self.has_more = self._number < page.pages
        fresh = [letter for letter in page.items if letter.dead_letter_id not in self._seen]
        self._seen.update(letter.dead_letter_id for letter in fresh)
        return fresh
