"""Batches' records, as they are read: one, a page of a list, children, items and what became of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import redis

from platform import store
from platform.batches.errors import UnknownBatch
from platform.batches.items import Item, blocks_of, indices_in, item_of
from platform.batches.record import Batch, from_hash
from platform.batches.states import ENDED, BatchState, ItemState
from platform.jobs.records import LUA as JOBS
from platform.jobs.records import MOST_PROBES
from platform.leases.scripts import Script, run
from platform.settings import Settings

LUA = Path(__file__).parent / "lua"
_SHARED = (LUA / "batch.lua").read_text()
SCRIPTS = {
    **{file.stem: Script(_SHARED + file.read_text()) for file in LUA.glob("*.lua") if file.stem != "batch"},
    "due": Script((LUA / "due.lua").read_text()),
    **{name: Script((JOBS / f"{name}.lua").read_text()) for name in ("list", "intersect")},
}
#: Children named in a batch's own view.
MOST_CHILDREN = 100
#: Items read in one round trip.
READ_AT_ONCE = 500
SEPARATOR = "\x1f"


def may_be_id(batch_id: str) -> bool:
    """With a ``:`` it would name a key of another batch's, which is no record."""
    return ":" not in batch_id


@dataclass(frozen=True)
class Page:
    """One page of a list; ``is_exact`` False means ``total`` is a lower bound."""

    items: Sequence[Batch]
    total: int
    is_exact: bool = True


class Records:
    """Records in one store. Every question raises UnknownBatch where it is about one, BrokerUnavailable."""

    def __init__(self, client: redis.Redis, config: Settings):
        self.client = client
        self.prefix = store.key_prefix(config)

    def channel(self, batch_id: str) -> str:
        """The pub/sub channel that is told of a batch's changes, ten times a second at most; also its record's key."""
        return f"{self.prefix}batch:{batch_id}"

    def get(self, batch_id: str) -> Batch:
        return self.get_with_revision(batch_id)[0]

    def get_with_revision(self, batch_id: str) -> tuple[Batch, int]:
        """The batch, and how often it has changed: of two readings the one with more is newer."""
        if not may_be_id(batch_id):
            raise UnknownBatch(batch_id)
        fields = cast(dict[str, str], self._ask(lambda: self.client.hgetall(self.channel(batch_id))))
        if "state" not in fields:
            raise UnknownBatch(batch_id)
        return from_hash(batch_id, fields), int(fields.get("revision", 0))

    def list(
        self,
        *,
        state: BatchState | None = None,
        task: str | None = None,
        owner: str | None = None,
        offset: int = 0,
        limit: int = 50,
    ) -> Page:
        """Batches that match everything given, newest first."""
        states = [state] if state else list(BatchState)
        given = {"task": task, "owner": owner}
        dimensions = [f"batches:{name}:{value}" for name, value in given.items() if value is not None] or ["batches"]
        keys = [f"{self.prefix}{dimension}:{s}" for s in states for dimension in dimensions]
        if len(dimensions) == 1:
            total, *ids = self._run("list", offset, limit, *keys)
            return Page(self.get_many(ids), int(total))
        total, exact, *ids = self._run("intersect", offset, limit, MOST_PROBES, len(dimensions), *keys)
        return Page(self.get_many(ids), int(total), bool(exact))

    def get_many(self, batch_ids: Sequence[str]) -> Sequence[Batch]:
        """Those of the ids that are known, in their order; one round trip."""
        found: Sequence[dict[str, str]] = self._pipelined([("HGETALL", self.channel(one)) for one in batch_ids])
        return [from_hash(i, f) for i, f in zip(batch_ids, found, strict=True) if "state" in f]

    def children(self, batch_id: str) -> Sequence[Batch]:
        """Batches that its items made, oldest first, the first hundred."""
        key = f"{self.prefix}batches:children:{batch_id}"
        ids = self._ask(lambda: cast(Any, self.client.zrange(key, 0, MOST_CHILDREN - 1)))
        return self.get_many(ids)

    def counts(self) -> dict[str, int]:
        """How many batches there are in each state; one whose items are not all written yet is in none."""
        sizes = self._pipelined([("ZCARD", f"{self.prefix}batches:{state}") for state in BatchState])
        return {str(state): int(size) for state, size in zip(BatchState, sizes, strict=True)}

    def outcomes(self) -> dict[tuple[str, str], int]:
        """How many items came to what since the store began, by task and ``completed failed cancelled retried``."""
        found = self._ask(lambda: cast(Any, self.client.hgetall(f"{self.prefix}batches:outcomes")))
        return {(task, what): int(n) for key, n in found.items() for task, _, what in [key.rpartition(SEPARATOR)]}

    # -- items

    def states(self, batch_id: str) -> str:
        """A letter for each item, in order (``platform.batches.states``)."""
        return cast(str, self._ask(lambda: self.client.get(f"{self.channel(batch_id)}:states"))) or ""

    def items(
        self, batch_id: str, state: ItemState | None = None, offset: int = 0, limit: int = 50
    ) -> tuple[Sequence[Item], int]:
        """Some of the items in a state (None: of all), in their order, and how many there are of those."""
        states = self.states(batch_id)
        wanted = indices_in(states, state)
        return self._items(batch_id, states, wanted[offset : offset + limit]), len(wanted)

    def results(self, batch_id: str, after: int = -1) -> Iterator[Item]:
        """Every item that has ended and has a larger index, in order, read some at a time as they are asked for."""
        states = self.states(batch_id)
        ended = [index for index in range(after + 1, len(states)) if states[index] in ENDED]
        for first in range(0, len(ended), READ_AT_ONCE):
            yield from self._items(batch_id, states, ended[first : first + READ_AT_ONCE])

    def values(self, batch_id: str, indices: Sequence[int]) -> Sequence[str | None]:
        """The items themselves, as JSON; None for one that is its own index."""
        return self._from_blocks(batch_id, "items", indices)

    def _items(self, batch_id: str, states: str, indices: Sequence[int]) -> Sequence[Item]:
        if not indices:
            return []
        values = self.values(batch_id, indices)
        outcomes = self._from_blocks(batch_id, "outcomes", indices)
        runs = self._pipelined([("HMGET", f"{self.channel(batch_id)}:trouble", *(f"n{i}" for i in indices))])[0]
        parts = zip(indices, values, outcomes, runs, strict=True)
        return [item_of(index, states[index], *told) for index, *told in parts]

    def _from_blocks(self, batch_id: str, kind: str, indices: Sequence[int]) -> Sequence[str | None]:
        blocks = [(f"{self.channel(batch_id)}:{kind}:{block}", members) for block, members in blocks_of(indices)]
        found = self._pipelined([("HMGET", key, *members) for key, members in blocks])
        return [value for values in found for value in values]

    # -- plumbing

    def _pipelined(self, commands: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
        def ask() -> Sequence[Any]:
            with self.client.pipeline(transaction=False) as pipe:
                for command in commands:
                    pipe.execute_command(*command)
                return pipe.execute()

        return self._ask(ask) if commands else []

    def _run(self, script: str, *arguments: Any) -> Any:
        return self._ask(lambda: run(self.client, SCRIPTS[script], args=arguments))

    def _ask(self, question: Any) -> Any:
        return store.insist(question, self.patience_s())

    def patience_s(self) -> float:
        """How long a call waits for a store that is away, in seconds."""
        return 0.0
