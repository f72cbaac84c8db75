"""Calling a stage's function, and what it answered for each change.

Nothing of brokers and records here. A call for many that raises is made again for each alone, so that one change that
cannot be worked on takes no other with it; but not where another try would meet the same trouble, as with a database
that is away.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from billiard.exceptions import SoftTimeLimitExceeded

from platform.errors import PlatformError
from platform.steering import RetryLater
from platform.store import AWAY

#: Ids that a stage makes when it multiplies a change.
NAMESPACE = uuid.UUID("5b1f7a0e-7a4c-5d0e-9d3a-0f1f9f6f6c11")

#: What befell the call, and not one of its changes.
OF_THE_CALL = (RetryLater, SoftTimeLimitExceeded, OSError, *AWAY)


class NotAChange(PlatformError):
    """A stage's message carries something else than changes."""

    is_permanent = True


class BadAnswer(PlatformError):
    """A stage's function returned what cannot be passed on."""

    is_permanent = True


#: What goes on in place of one change (nothing: it was dropped), or why it could not be worked on.
Answer = list[Any] | Exception


@dataclass(frozen=True)
class Function:
    """A stage's function: it gets ``takes``, one or, with ``batch`` over 1, a list; it gives ``gives``.

    For one change it returns what goes on: that or another one, several in a list, or None, nothing. For a list it
    returns a list as long, of such answers and of exceptions, or None for nothing at all.
    """

    name: str
    call: Callable[[Any], Any]
    takes: type
    gives: type
    batch: int = 1

    def answers(self, changes: Sequence[Any]) -> list[Answer]:
        """One answer for each change, plain data as it was in a message; raises only what ends the process."""
        taken = [self._taken(change) for change in changes]
        sound = [at for at, item in enumerate(taken) if not isinstance(item, Exception)]
        found: list[Answer] = [item if isinstance(item, Exception) else [] for item in taken]
        for first in range(0, len(sound), self.batch):
            places = sound[first : first + self.batch]
            for at, answer in zip(places, self._of_some([taken[at] for at in places], changes, places), strict=True):
                found[at] = answer
        return found

    def _taken(self, change: Any) -> Any:
        try:
            return msgspec.convert(change, self.takes)
        except msgspec.ValidationError as exc:
            return NotAChange(f"this is no {self.takes.__name__}: {exc}")

    def _of_some(self, items: list[Any], changes: Sequence[Any], places: Sequence[int]) -> list[Answer]:
        if self.batch == 1:
            return [self._of_one(items[0])]
        ids = [_id_of(item) for item in items]  # a function may change what it gets
        try:
            return self._checked(self.call(items), ids)
        except MemoryError:
            raise
        except Exception as exc:  # noqa: BLE001 - whatever a user's code raises is the outcome of some of these
            if len(items) == 1 or isinstance(exc, OF_THE_CALL) or getattr(exc, "is_outage", False):
                return [exc] * len(items)
        # Read anew: the call that failed may have changed what it got.
        return [self._of_some([self._taken(changes[at])], changes, [at])[0] for at in places]

    def _of_one(self, item: Any) -> Answer:
        change_id = _id_of(item)
        try:
            return self._going_on(self.call(item), change_id)
        except MemoryError:
            raise
        except Exception as exc:  # noqa: BLE001 - as above
            return exc

    def _checked(self, answer: Any, ids: Sequence[str]) -> list[Answer]:
        if answer is None:
            return [[] for _ in ids]
        if not isinstance(answer, Sequence) or len(answer) != len(ids):
            what = f"{len(answer)} answers" if isinstance(answer, Sequence) else type(answer).__name__
            return [self._bad(f"{what} for {len(ids)} changes; return a list as long as what it got")] * len(ids)
        return [self._one_checked(one, change_id) for one, change_id in zip(answer, ids, strict=True)]

    def _one_checked(self, answer: Any, change_id: str) -> Answer:
        try:
            return self._going_on(answer, change_id)
        except BadAnswer as exc:
            return exc

    def _going_on(self, answer: Any, change_id: str) -> Answer:
        """Raises BadAnswer."""
        if answer is None:
            return []
        if isinstance(answer, Exception):
            return answer
        several = answer if isinstance(answer, list | tuple) else [answer]
        for one in several:
            if not isinstance(one, self.gives):
                raise self._bad(f"{type(one).__name__}; return a {self.gives.__name__}, a list of them or None")
        return _told_apart(self.name, several, change_id)

    def _bad(self, what: str) -> BadAnswer:
        return BadAnswer(f"stage {self.name} returned {what}")


def _told_apart(stage: str, several: Sequence[Any], change_id: str) -> list[Any]:
    """The same ids each time: the first one with the change's own id keeps it, every other one gets one from it."""
    if len(several) == 1:
        return [*several]
    result, seen = [], set()
    for number, one in enumerate(several):
        is_taken = _id_of(one) in seen or (number and _id_of(one) == change_id)
        result.append(_with_own_ids(one, f"{stage}:{change_id}:{number}") if is_taken else one)
        seen.add(_id_of(result[-1]))
    return result


def _id_of(item: Any) -> str:
    return str(item.change_id if hasattr(item, "change_id") else item.change.change_id)


def _with_own_ids(change: Any, text: str) -> Any:
    own = {"change_id": uuid.uuid5(NAMESPACE, text).hex}
    if change.act == "create":  # two cannot create one document
        own["id"] = uuid.uuid5(NAMESPACE, f"{text}:document").hex
    return msgspec.structs.replace(change, **own)
