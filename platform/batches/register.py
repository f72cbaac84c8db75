"""The register of batches: every transition one script call, each safe to repeat after a lost answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import redis

from platform import store
from platform.batches.chunks import CAREFUL, indices_of, ranges_of
from platform.batches.errors import BatchOver, NothingFailed, UnknownBatch, too_many
from platform.batches.records import SCRIPTS, Records
from platform.batches.states import BatchState
from platform.jobs.ledger import ledger
from platform.leases.scripts import run
from platform.serialization import encode
from platform.settings import Settings, settings

End = Literal["", "whole", "last"]


@dataclass(frozen=True)
class Begun:
    """A chunk whose run begins. ``states``, ``tries``, ``deaths`` and ``repairs`` are its items', as ``indices`` are.

    ``repairs``: how often somebody asked for them to be run again. ``has_died``: an earlier run of its job ended with
    its process. ``fields`` are the batch's record.
    """

    indices: Sequence[int]
    states: str
    tries: Sequence[int]
    deaths: Sequence[int]
    repairs: Sequence[int]
    is_careful: bool
    has_died: bool
    is_stopped: bool
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Outcome:
    """What became of an item: ``c`` completed, ``f`` failed, ``a`` to be tried again.

    ``text`` is ``+`` and the result as JSON, ``-`` and the error, or empty for no result.
    """

    index: int
    what: Literal["c", "f", "a"]
    text: str


@dataclass(frozen=True)
class Step:
    """``refused``: of the next items those that must not run. ``fired``: callbacks to publish."""

    verdict: Literal["go", "stop", "gone"]
    refused: frozenset[int]
    fired: Sequence[str]


@dataclass
class HandOver:
    """What becomes of what is left of a chunk: every item that has not ended must be in one of the ``chunks``.

    ``died`` ran when their process ended; ``interrupted`` were marked and perhaps ran, and wait again. A chunk is its
    flags and its items.
    """

    died: Sequence[int] = ()
    interrupted: Sequence[int] = ()
    failed: Sequence[int] = ()
    error: str = ""
    cancelled: Sequence[int] = ()
    chunks: list[tuple[str, Sequence[int]]] = field(default_factory=list)

    def arguments(self) -> Iterator[str]:
        yield ranges_of(sorted(self.died))
        yield ranges_of(sorted(self.interrupted))
        yield ranges_of(sorted(self.failed))
        yield self.error
        yield ranges_of(sorted(self.cancelled))
        for flags, indices in self.chunks:
            yield flags
            yield ranges_of(sorted(indices))


class Batches(Records):
    """Batches in one store. Every call raises BrokerUnavailable where it is away for longer than the patience."""

    def __init__(self, client: redis.Redis, config: Settings, patience_s: Callable[[], float] = lambda: 0.0):
        super().__init__(client, config)
        self._patience_s = patience_s
        kept_s = (config.keep_completed_s, config.keep_failed_s, config.keep_cancelled_s)
        self._keep = " ".join(str(seconds * 1000) for seconds in kept_s)

    def patience_s(self) -> float:
        return self._patience_s()

    # -- coming to be

    def create(self, batch_id: str, facts: Mapping[str, Any], runs_at_once: bool) -> bool:
        """A batch with no items yet; False if it is there already. None of ``facts`` is not written.

        ``runs_at_once``: its chunks may run as they are added; else it is not listed and nothing of it runs until
        ``add`` has said that its items are the last.
        """
        given = [part for name, value in facts.items() if value is not None for part in (name, value)]
        return self._call("create", batch_id, int(runs_at_once), *given) == "created"

    def add(
        self,
        batch_id: str,
        name: str,
        items: Sequence[bytes] | int,
        chunk_size: int,
        end: End = "",
        most: int = 0,
    ) -> tuple[Sequence[int], Sequence[str]]:
        """Items as JSON, or how many that are their own index; ``name`` lets the call be repeated.

        ``end``: with these the batch is ``whole`` and may run, or they are also the ``last``.

        Returns the chunks to publish and the callbacks fired (of a batch without items). Raises UnknownBatch,
        BatchOver; InvalidBatch beyond ``most``.
        """
        count, given = (items, ()) if isinstance(items, int) else (len(items), items)
        verdict, told, fired = self._call("add", batch_id, name, count, chunk_size, end, most, *given)
        if verdict == "unknown":
            raise UnknownBatch(batch_id)
        if verdict == "ended":
            raise BatchOver(batch_id, told if told in list(BatchState)[2:] else "being cancelled")
        if verdict == "too many":
            raise too_many(most, int(told))
        return _numbers(told), _names(fired)

    def has_addition(self, batch_id: str, name: str) -> bool:
        """Whether an addition of that name was made."""
        return bool(self._ask(lambda: self.client.hexists(f"{self.channel(batch_id)}:adds", name)))

    def forget(self, batch_id: str, unless_whole: bool = False) -> bool:
        """Everything of it is gone; chunks still in the queue find nothing to do.

        ``unless_whole``: only if none of it may run yet. False: nothing was forgotten.
        """
        return bool(self._call("forget", batch_id, int(unless_whole)))

    # -- running

    def begin(self, batch_id: str, number: int, attempt: str, job_id: str) -> Begun | None:
        """A run of a chunk begins; None where there is nothing to run."""
        answer = self._call("begin", batch_id, number, attempt, job_id)
        if answer[0] == "gone":
            return None
        verdict, flags, ranges, states, tries, deaths, repairs, died, pairs = answer
        fields = dict(zip(pairs[::2], pairs[1::2], strict=True))
        counts = (_numbers(tries), _numbers(deaths), _numbers(repairs))
        return Begun(indices_of(ranges), states, *counts, CAREFUL in flags, int(died) > 0, verdict == "stop", fields)

    def step(
        self,
        batch_id: str,
        number: int,
        attempt: str,
        outcomes: Sequence[Outcome],
        following: Sequence[int],
        is_last: bool = False,
    ) -> Step:
        """Outcomes of items that ran, and which run next. Each item has one outcome; a second one is dropped.

        ``is_last``: with these outcomes nothing is left of the chunk, and it is over.
        """
        told = [part for one in outcomes for part in (one.index, one.what, one.text)]
        place = (batch_id, number, attempt, ranges_of(following), int(is_last))
        verdict, refused, fired = self._call("step", *place, *told)
        return Step(verdict, frozenset(_numbers(refused)), _names(fired))

    def hand_over(
        self, batch_id: str, number: int, attempt: str, what: HandOver
    ) -> tuple[Sequence[int], Sequence[str]] | None:
        """The chunk ends. Returns the chunks to publish and the callbacks fired; None if another run has it."""
        verdict, numbers, fired = self._call("hand_over", batch_id, number, attempt, *what.arguments())
        return None if verdict == "gone" else (_numbers(numbers), _names(fired))

    # -- what people ask for

    def cancel(self, batch_id: str) -> tuple[Literal["cancelled", "asked"], Sequence[int], Sequence[str]]:
        """Nothing more is begun; items that run may end. Returns also the chunks there were, and the callbacks fired.

        Raises UnknownBatch, BatchOver.
        """
        verdict, told, fired = self._call("cancel", batch_id)
        if verdict == "unknown":
            raise UnknownBatch(batch_id)
        if verdict == "final":
            raise BatchOver(batch_id, told)
        return verdict, _numbers(told), _names(fired)

    def retry(self, batch_id: str, chunk_size: int) -> tuple[Sequence[int], int]:
        """What failed runs again with a fresh count of tries. Returns the chunks to publish, and how many items.

        Raises UnknownBatch, NothingFailed, BatchOver while it is being cancelled.
        """
        verdict, numbers, count = self._call("retry", batch_id, chunk_size)
        if verdict == "unknown":
            raise UnknownBatch(batch_id)
        if verdict == "stopping":
            raise BatchOver(batch_id, "being cancelled")
        if verdict == "none":
            raise NothingFailed(batch_id)
        return _numbers(numbers), int(count)

    def is_stopping(self, batch_id: str) -> bool:
        """Whether it was cancelled and items of it still run, or it is gone."""
        fields = self._ask(lambda: self.client.hmget(self.channel(batch_id), ["cancel_requested_at", "state"]))
        return bool(fields[0]) or fields[1] is None

    # -- for duties

    def due(self, limit: int, again_after_s: float) -> Sequence[str]:
        """Batches to look after now; others that ask are given them only after so many seconds."""
        args = [self.prefix, limit, int(again_after_s * 1000)]
        return self._ask(lambda: run(self.client, SCRIPTS["due"], args=args))

    def chunks(self, batch_id: str) -> dict[int, tuple[str, str, Sequence[int]]]:
        """Its chunks by number: attempt, flags and items."""
        found: Any = self._ask(lambda: self.client.hgetall(f"{self.channel(batch_id)}:chunks"))
        parts = {int(number): text.split(";", 2) for number, text in found.items()}
        return {number: (attempt, flags, indices_of(ranges)) for number, (attempt, flags, ranges) in parts.items()}

    def fields(self, batch_id: str) -> dict[str, str]:
        """The record as it is kept; empty if there is none."""
        return self._ask(lambda: self.client.hgetall(self.channel(batch_id)))

    def unpublished_callbacks(self, older_than_s: float, limit: int = 100) -> Sequence[tuple[str, str]]:
        """Callbacks decided on so long ago and not known to be published: batch and kind."""
        until_ms = self.server_ms() - int(older_than_s * 1000)
        found: Any = self._first_by_score("batches:callbacks", until_ms, limit)
        return [(batch_id, kind) for batch_id, _, kind in (member.partition("\x1f") for member in found)]

    def callback_published(self, batch_id: str, kind: str) -> None:
        self._ask(lambda: self.client.zrem(f"{self.prefix}batches:callbacks", f"{batch_id}\x1f{kind}"))

    def callback_put_off(self, batch_id: str, kind: str) -> None:
        """It is tried again after all the others, not before: many that wait keep no other one waiting."""
        member = {f"{batch_id}\x1f{kind}": self.server_ms()}
        self._ask(lambda: self.client.zadd(f"{self.prefix}batches:callbacks", member, xx=True))

    def expired(self, limit: int) -> Sequence[str]:
        """Batches whose time to be kept is over."""
        key, until = f"{self.prefix}batches:expiry", {"byscore": True, "offset": 0, "num": limit}
        return self._ask(lambda: self.client.zrange(key, "-inf", str(self.server_ms()), **until))  # type: ignore[arg-type]

    def server_ms(self) -> int:
        """The server's clock, by which every time of a batch is."""
        seconds, micros = self._ask(self.client.time)
        return int(seconds) * 1000 + int(micros) // 1000

    # -- plumbing

    def _first_by_score(self, name: str, until: int, limit: int) -> Any:
        options: Any = {"byscore": True, "offset": 0, "num": limit}
        return self._ask(lambda: self.client.zrange(f"{self.prefix}{name}", "-inf", str(until), **options))

    def _call(self, script: str, batch_id: str, *arguments: Any) -> Any:
        return self._run(script, self.prefix, batch_id, self._keep, *arguments)


@cache
def batches() -> Batches:
    """This process's register, as patient as its ledger."""
    return Batches(store.client(), settings(), lambda: ledger().patience_s)


def callback_text(task: str, kwargs: Mapping[str, Any]) -> str:
    """A callback as it is kept. Raises NotJSON."""
    return encode({"task": task, "kwargs": dict(kwargs)}).decode()


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")] if text else []


def _names(text: str) -> list[str]:
    return text.split(",") if text else []
