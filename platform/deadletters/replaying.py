"""Replay: a letter's message goes back to its queue, once for each act, one letter or all that match."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from platform import endpoints
from platform.deadletters import broker
from platform.deadletters.letter import Letter, LetterState, NotDead, NotReplayable, UnknownLetter
from platform.deadletters.register import MOST_ROUNDS, DeadLetters, Filter, dead_letters
from platform.deadletters.shelf import START, Place
from platform.unique import lock_of

log = logging.getLogger(__name__)

TICK_S = 0.2


@dataclass(frozen=True)
class Tally:
    """How far a replay of many has come. ``left_out`` are letters that could not go back; ``why`` of the last."""

    replayed: int = 0
    left_out: int = 0
    why: str = ""

    @property
    def done(self) -> int:
        return self.replayed + self.left_out


def replay(letter_id: str, actor: str) -> Letter:
    """Publish a dead letter's message again to its queue, with a fresh retry count, and make its job pending.

    Both happen or neither; a publish that failed leaves the letter dead. Returns the letter as it is then.
    Raises UnknownLetter, NotDead, NotReplayable, BrokerUnavailable.
    """
    letters, act = dead_letters(), uuid.uuid4().hex
    for _ in range(MOST_ROUNDS):
        letter = letters.get(letter_id)
        if letter.state != LetterState.DEAD:
            raise NotDead(letter_id, letter.state)
        if _send(letters, letter, actor, act):
            return letters.get(letter_id)
    raise NotReplayable(letter_id, "somebody else is changing it right now")


def _send(letters: DeadLetters, letter: Letter, actor: str, act: str) -> bool:
    parcel = broker.parcel_of(letter)
    if endpoints.records_are_beside_queues():
        return letters.send_back(letter, actor, act, parcel.outgoing(), _lock_of(letter))
    if not letters.send_back(letter, actor, act, None, _lock_of(letter)):
        return False
    try:
        broker.publish(parcel, letter.dead_letter_id)
    except Exception:
        letters.take_back(letter.dead_letter_id, act)
        raise
    letters.published(letter.dead_letter_id)
    return True


def _lock_of(letter: Letter) -> str:
    """What the job locks if its task is unique, by the arguments it has now; empty where that is not known here."""
    from platform.celery import app

    try:
        lock = lock_of(app.tasks.get(letter.task), letter.app_id or "", letter.args, letter.kwargs)
    except Exception:
        log.exception("the letter %s is replayed without its lock", letter.dead_letter_id)  # the user's own `by` failed
        return ""
    return lock.as_text("leave") if lock else ""


@dataclass
class ReplayOfMany:
    """Replays what matches and died until ``until_ms``, oldest first, at most ``rate_per_s`` letters a second.

    Going through it again, after a crash or a pause, does the rest: what was replayed is not dead any more, and what
    died again since died too late. Letters that cannot go back are left as they are; ``after`` is where to go on.
    """

    wanted: Filter
    until_ms: int
    actor: str
    rate_per_s: float | None = None
    tally: Tally = field(default_factory=Tally)
    after: Place = START
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def steps(self) -> Iterator[Tally]:
        """One at a time: each letter done is a step, and so is a moment of waiting for the rate."""
        due = self.clock()
        for place in dead_letters().matching(self.wanted, self.until_ms, self.after):
            while (left_s := due - self.clock()) > 0:
                self.sleep(min(left_s, TICK_S))
                yield self.tally
            due = max(due, self.clock() - TICK_S) + (1 / self.rate_per_s if self.rate_per_s else 0)
            self.tally, self.after = self._one(place[1]), place
            yield self.tally

    def _one(self, letter_id: str) -> Tally:
        try:
            replay(letter_id, self.actor)
        except (UnknownLetter, NotDead):
            return self.tally  # somebody else was quicker
        except NotReplayable as exc:
            return replace(self.tally, left_out=self.tally.left_out + 1, why=str(exc))
        return replace(self.tally, replayed=self.tally.replayed + 1)
