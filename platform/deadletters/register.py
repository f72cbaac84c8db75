"""The register of dead letters: every act one script call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import redis

from platform import endpoints, serialization, store
from platform.deadletters.content import Content, with_arguments
from platform.deadletters.death import Death, Parked, letter_id_of, other_letter_id_of
from platform.deadletters.letter import Letter, LetterState, NotDead, NotEditable, NotReplayable, UnknownLetter
from platform.deadletters.scripts import SCRIPTS
from platform.deadletters.shelf import Filter, Page, Shelf
from platform.jobs.facts import Refused
from platform.jobs.ledger import ledger
from platform.leases.scripts import run
from platform.settings import Settings, settings

__all__ = ["DeadLetters", "Death", "Filter", "Outgoing", "Page", "Parked", "Refused", "dead_letters", "letter_id_of"]

MAX_REMEMBERED_BYTES = 10_000
#: How often an act is tried on a letter that others are changing.
MOST_ROUNDS = 5
#: How long publishing may take where it is not one step with the record, in seconds.
PUBLISHING_S = 60


@dataclass(frozen=True)
class Outgoing:
    """A message on its way into a list of the same server, and the bell to ring."""

    queue_list: str
    bell: str
    message: bytes

    @property
    def parts(self) -> tuple[str, str, bytes]:
        return self.queue_list, self.bell, self.message


class DeadLetters(Shelf):
    """Dead letters in the record store, and what may be done with them; every act is one script call."""

    def __init__(self, client: redis.Redis, config: Settings, patience_s: Callable[[], float] = lambda: 0.0):
        super().__init__(client, config)
        #: How long a call waits for a store that is away, in seconds.
        self.patience_s = patience_s
        self._keep_failed_ms = config.keep_failed_s * 1000
        self._keep_ms = config.keep_dead_letters_s * 1000

    # -- acts

    def park(
        self,
        death: Death,
        *,
        held: str = "",
        tag: str = "",
        only_if_held: bool = False,
        only_if_failed: bool = False,
        delivery: str = "",
    ) -> Parked | Refused:
        """Make a letter of a message that will not be delivered again, and end its delivery; then acknowledge it.

        ``held`` and ``tag`` name the record of a delivery under a lease on this server: its bytes are taken from there
        and it ends in the same step. With ``only_if_held`` a delivery that was given to another worker meanwhile is
        refused (``held by another worker``), with ``only_if_failed`` a job that is not ``failed``; else a job that has
        not ended becomes ``failed`` with this error. A job that has completed or was cancelled is refused with that
        state. Safe to repeat: a job has one letter, and one death counts once; another message that bears the id of a
        job that died already gets a letter beside. ``delivery`` is a name that no other
        delivery ever has, where it is not held and there is one.
        """
        delivery = delivery or (f"{held} {tag}" if held else "")
        flags = (int(only_if_held), int(only_if_failed))
        first_ms = "" if death.first_failed_at_ms is None else death.first_failed_at_ms
        how = (death.job_id.encode(errors="replace"), held, tag, *flags, self._keep_failed_ms, delivery, first_ms)
        told = (_now_ms(), *how, death.message_bytes, *_flat(death.fields()))
        letter_id = letter_id_of(death, tag)
        done, what = self._call("park", letter_id, *told, patient=True)
        if what == b"other":
            letter_id = other_letter_id_of(death)
            done, what = self._call("park", letter_id, *told, patient=True)
        return Parked(letter_id, what.decode()) if done else Refused(what.decode())

    def edit(
        self, letter_id: str, actor: str, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None
    ) -> Letter:
        """Other arguments for a dead letter, None leaving them as they are; what came is kept beside.

        Returns the letter as it is then. Raises UnknownLetter, NotDead, NotEditable, NotJSON.
        """
        for _ in range(MOST_ROUNDS):
            letter = self.get(letter_id)
            body = with_arguments(_editable(letter), *_chosen(letter, args, kwargs))
            event = {"args": args, "kwargs": kwargs} if len(body) <= MAX_REMEMBERED_BYTES else {}
            event = {name: value for name, value in event.items() if value is not None}
            done, why = self._call("edit", letter_id, letter.revision, body, _event("edited", actor, **event))
            if done:
                return self.get(letter_id)
            if why != b"changed":
                raise _refusal(letter_id, why)
        raise NotEditable(letter_id, "somebody else is changing it right now")

    def discard(self, letter_id: str, actor: str) -> Letter:
        """Give a dead letter up; it is listed as discarded for its retention, and its job stays failed.

        Returns the letter as it is then. Raises UnknownLetter, NotDead.
        """
        done, why = self._call("discard", letter_id, _now_ms() + self._keep_ms, _event("discarded", actor))
        if not done:
            raise _refusal(letter_id, why)
        return self.get(letter_id)

    def send_back(self, letter: Letter, actor: str, act: str, outgoing: Outgoing | None, lock: str = "") -> bool:
        """Make a letter replayed and its job pending again, and with ``outgoing`` publish it by the same call.

        Without, the caller publishes within ``PUBLISHING_S`` and says ``published`` then; what is not said in time is
        taken back. False: the letter has changed since it was read. ``act`` names this act, so that repeating it
        changes nothing. ``lock`` is what the job of a unique task locks (``platform.unique.Lock``), if it can.
        Raises UnknownLetter, NotDead, NotReplayable.
        """
        now = _now_ms()
        where = (now + PUBLISHING_S * 1000,) if outgoing is None else ("", *outgoing.parts)
        common = (letter.revision, now + self._keep_ms, _max_retries(letter), _event("replayed", actor), lock)
        done, *why = self._call("replay", letter.dead_letter_id, now, act, *common, *where, patient=True)
        if done or why[0] == b"changed":
            return bool(done)
        if why[0] == b"job":
            raise NotReplayable(letter.dead_letter_id, f"its job {letter.job_id} is {why[1].decode()}")
        raise _refusal(letter.dead_letter_id, why[0])

    def published(self, letter_id: str) -> None:
        """A letter's message is in its queue again."""
        self.client.zrem(f"{self.prefix}dead:publishing", letter_id)

    def take_back(self, letter_id: str, act: str = "") -> bool:
        """A replayed letter was not published after all: it is dead again; False if a worker has begun its job."""
        return bool(self._call("take_back", letter_id, act, _now_ms(), self._keep_failed_ms, patient=True))

    def take_back_overdue(self, limit: int = 500) -> int:
        """Take back what was to be published long ago by a program that has died since; returns how many."""
        until: Any = {"byscore": True, "offset": 0, "num": limit}
        overdue: Any = self.client.zrange(f"{self.prefix}dead:publishing", "-inf", str(_now_ms()), **until)
        return sum(self.take_back(letter_id.decode()) for letter_id in overdue)

    def sweep(self, limit: int = 500) -> int:
        """Forget up to ``limit`` letters whose time to be kept is over; returns how many."""
        return int(self._call("sweep", _now_ms(), limit))

    # -- plumbing

    def _call(self, script: str, *arguments: Any, patient: bool = False) -> Any:
        patience_s = self.patience_s() if patient else 0.0
        return store.insist(lambda: run(self.client, SCRIPTS[script], args=[self.prefix, *arguments]), patience_s)


@cache
def dead_letters() -> DeadLetters:
    """This process's register, as patient as its ledger."""
    config = settings()
    endpoints.ensure_embedded(config)
    client = store.connect(endpoints.redis_url(config), config, timeout_s=config.broker_timeout_s, as_text=False)
    return DeadLetters(client, config, lambda: ledger().patience_s)


def _editable(letter: Letter) -> Content:
    if letter.state != LetterState.DEAD:
        raise NotDead(letter.dead_letter_id, letter.state)
    content = letter.content
    if content.envelope is None:
        raise NotEditable(letter.dead_letter_id, content.problem)
    return content


def _chosen(letter: Letter, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None) -> tuple[list, dict]:
    """What is not given stays as it was edited before."""
    return (letter.args if args is None else list(args)), (letter.kwargs if kwargs is None else dict(kwargs))


def _refusal(letter_id: str, why: bytes) -> Exception:
    return UnknownLetter(letter_id) if why == b"unknown" else NotDead(letter_id, why.decode())


def _max_retries(letter: Letter) -> int | str:
    envelope = letter.content.envelope
    found = envelope.headers.get("max_retries") if envelope else None
    return found if isinstance(found, int) else ""


def _event(event: str, actor: str, **details: Any) -> bytes:
    return serialization.encode({"event": event, "at": _now_ms(), "by": actor, **details})


def _flat(fields: Mapping[str, Any]) -> Iterator[Any]:
    for name, value in fields.items():
        yield name
        yield value


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
