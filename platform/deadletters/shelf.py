"""Questions about dead letters; every list is a range or an intersection of sorted sets, never a scan."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

import msgspec
import redis

from platform import store
from platform.deadletters.letter import Letter, LetterState, UnknownLetter, from_hash, moment
from platform.deadletters.scripts import SCRIPTS
from platform.jobs.records import MOST_PROBES
from platform.leases.scripts import run
from platform.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")
Fields = dict[bytes, bytes]
#: Where a letter stands among the dead: when it died, in ms, and its id.
Place = tuple[int, str]
START: Place = (0, "")
BATCH = 500


@dataclass(frozen=True)
class Page:
    """One page of a list; ``is_exact`` False means ``total`` is a lower bound."""

    items: Sequence[Letter]
    total: int
    is_exact: bool = True


@dataclass(frozen=True)
class Filter:
    """Which letters: everything given must hold."""

    reason: str | None = None
    task: str | None = None
    queue: str | None = None

    def sets(self, state: LetterState) -> list[str]:
        """The sorted sets whose common members match."""
        given = {"reason": self.reason, "task": self.task, "queue": self.queue}
        dimensions = [f"dead:{name}:{value}" for name, value in given.items() if value is not None] or ["dead"]
        return [f"{dimension}:{state}" for dimension in dimensions]


def answered(question: Callable[P, T]) -> Callable[P, T]:
    """The question, raising BrokerUnavailable where the record store is away."""

    @functools.wraps(question)
    def ask(*args: P.args, **kwargs: P.kwargs) -> T:
        return store.insist(lambda: question(*args, **kwargs), patience_s=0.0)

    return ask


class Shelf:
    """Where the letters are. ``client`` gives bytes; messages are whatever came.

    Every question raises BrokerUnavailable where the record store is away.
    """

    def __init__(self, client: redis.Redis, config: Settings):
        self.client = client
        self.prefix = store.key_prefix(config)

    @answered
    def get(self, letter_id: str) -> Letter:
        """Raises UnknownLetter."""
        fields = cast(Fields, self.client.hgetall(f"{self.prefix}dead:letter:{letter_id}"))
        if b"state" not in fields:
            raise UnknownLetter(letter_id)
        return from_hash(letter_id, fields)

    @answered
    def list(
        self, wanted: Filter | None = None, state: LetterState = LetterState.DEAD, offset: int = 0, limit: int = 50
    ) -> Page:
        """Letters that match, those that died last first."""
        keys = [f"{self.prefix}{name}" for name in (wanted or Filter()).sets(state)]
        if len(keys) == 1:
            total, *ids = run(self.client, SCRIPTS["list"], args=[offset, limit, *keys])
            return Page(self._get_many(ids), int(total))
        total, exact, *ids = run(self.client, SCRIPTS["intersect"], args=[offset, limit, MOST_PROBES, len(keys), *keys])
        return Page(self._get_many(ids), int(total), bool(exact))

    @answered
    def history(self, letter: Letter) -> Sequence[dict[str, Any]]:
        """What became of a letter, oldest first: ``{"event": "died|edited|replayed|discarded", "at", …}``."""
        lines = self.client.lrange(f"{self.prefix}dead:history:{letter.dead_letter_id}", 0, -1)
        events = [msgspec.json.decode(line) for line in lines]
        for event in events:
            event["at"] = moment(event["at"])
        if letter.state != LetterState.REPLAYED:  # of a replayed one it is among the events
            error = {name: letter.error[name] for name in ("type", "message")}
            died = {"event": "died", "at": letter.dead_at, "reason": letter.reason, "attempts": letter.attempts}
            events.append(died | {"error": error})
        return _deaths_first(events)

    def matching(self, wanted: Filter, until_ms: int, after: Place = START) -> Iterator[Place]:
        """Letters that are dead and died by then, oldest first, from a place on; others come and go meanwhile."""
        first, *others = [f"{self.prefix}{name}" for name in wanted.sets(LetterState.DEAD)]
        most = BATCH
        while True:
            rows = self._dead_between(first, after[0], until_ms, most)
            fresh = [place for place in rows if place > after]
            if fresh:
                yield from self._in_all(others, fresh)
                after, most = fresh[-1], BATCH
            elif len(rows) < most:
                return
            else:  # all of one millisecond, and seen before: look further
                most *= 2

    @answered
    def _dead_between(self, key: str, since_ms: int, until_ms: int, most: int) -> Sequence[Place]:
        options: Any = {"byscore": True, "offset": 0, "num": most, "withscores": True}
        rows = cast(Any, self.client.zrange(key, since_ms, until_ms, **options))
        return [(int(score), letter_id.decode()) for letter_id, score in rows]

    @answered
    def _in_all(self, keys: Sequence[str], places: Sequence[Place]) -> Sequence[Place]:
        ids: Any = [letter_id for _, letter_id in places]
        with self.client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.zmscore(key, ids)
            found = pipe.execute()
        return [place for at, place in enumerate(places) if all(scores[at] is not None for scores in found)]

    @answered
    def counts(self) -> dict[tuple[str, str], int]:
        """How many are dead, by queue and reason."""
        found = cast(Fields, self.client.hgetall(f"{self.prefix}dead:counts"))
        pairs = ((tuple(name.decode(errors="replace").split("\x1f")), int(count)) for name, count in found.items())
        return {(labels[0], labels[-1]): count for labels, count in pairs}

    def _get_many(self, ids: Sequence[bytes]) -> Sequence[Letter]:
        with self.client.pipeline(transaction=False) as pipe:
            for letter_id in ids:
                pipe.hgetall(f"{self.prefix}dead:letter:{letter_id.decode()}")
            found = pipe.execute()
        return [from_hash(i.decode(), f) for i, f in zip(ids, found, strict=True) if b"state" in f]


def _deaths_first(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A death stands before what was done to the letter until its replay, whose act writes the death down.

    Not by the clock: an edit may come in the same millisecond.
    """
    ordered: list[dict[str, Any]] = []
    begin = 0
    for event in events:
        ordered.insert(begin if event["event"] == "died" else len(ordered), event)
        if event["event"] == "replayed":
            begin = len(ordered)
    return ordered
