"""What an operator may do with dead letters, each act with its line in the audit trail.

HTTP and the command line are thin over these. Raises what the acts themselves raise, and DatabaseUnavailable before
anything is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any

from platform import trail
from platform.deadletters import replaying
from platform.deadletters.letter import Letter, NotDead, UnknownLetter
from platform.deadletters.register import Filter, dead_letters


def edit(
    letter_id: str, actor: str, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None
) -> Letter:
    """Other arguments for a dead letter; the trail has the old and the new ones."""
    before = dead_letters().get(letter_id)
    after = {"args": before.args if args is None else args, "kwargs": before.kwargs if kwargs is None else kwargs}
    changes = {"before": {"args": before.args, "kwargs": before.kwargs}, "after": after}
    with trail.recorded(actor, "dead_letter.edit", letter_id, changes):
        return dead_letters().edit(letter_id, actor, args, kwargs)


def replay(letter_id: str, actor: str) -> Letter:
    with trail.recorded(actor, "dead_letter.replay", letter_id):
        return replaying.replay(letter_id, actor)


def discard(letter_id: str, actor: str) -> Letter:
    with trail.recorded(actor, "dead_letter.discard", letter_id):
        return dead_letters().discard(letter_id, actor)


def of_many(action: str, actor: str, wanted: Filter, **details: Any) -> AbstractContextManager[None]:
    """One line for an act on all letters that match, ``replay`` or ``discard``; the block is its beginning."""
    chosen = {"reason": wanted.reason, "task": wanted.task, "queue": wanted.queue}
    return trail.recorded(actor, f"dead_letters.{action}", details={"filter": chosen, **details})


@dataclass
class DiscardOfMany:
    """Discards what matches and died until ``until_ms``; going through it again does the rest."""

    wanted: Filter
    until_ms: int
    actor: str
    discarded: int = 0

    def steps(self) -> Iterator[int]:
        """One letter at a time: how many were discarded so far."""
        for _, letter_id in dead_letters().matching(self.wanted, self.until_ms):
            with suppress(UnknownLetter, NotDead):  # somebody else was quicker
                dead_letters().discard(letter_id, self.actor)
                self.discarded += 1
            yield self.discarded
