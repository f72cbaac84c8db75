"""The one place in the suite that sleeps: polling with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")


def eventually(predicate: Callable[[], Seen], timeout_s: float = 10.0, poll_s: float = 0.05) -> Seen:
    """Call ``predicate`` until its answer is true and return that answer.

    An AssertionError inside the predicate counts as "not yet", so it may be written with asserts; the last
    one is the cause of the failure. Any other exception is not caught.
    Raises AssertionError after ``timeout_s`` seconds, with the last answer seen.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        seen, why = _ask(predicate)
        if seen:
            return seen
        if time.monotonic() > deadline:
            what = getattr(predicate, "__qualname__", repr(predicate))
            raise AssertionError(f"{what} was not so within {timeout_s:g} s; last answer: {seen!r}") from why
        time.sleep(poll_s)


def _ask(predicate: Callable[[], Seen]) -> tuple[Seen | None, AssertionError | None]:
    try:
        return predicate(), None
    except AssertionError as exc:
        return None, exc
