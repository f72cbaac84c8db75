"""Which workers there are, who of them is at work, and who was told not to be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import redis

from platform import store
from platform.polling.errors import UnknownWorker
from platform.polling.loop import Poller
from platform.polling.slots import Slots, slots_of

#: Those of the modules this process has imported, by name.
_declared: dict[str, type[Poller]] = {}


def declare(name: str, worker: type[Poller]) -> type[Poller]:
    """A class is known by this name from now on; returns the one known before, or itself."""
    return _declared.setdefault(name, worker)


def redeclare(name: str, worker: type[Poller]) -> None:
    """The same class again, from a module that was imported twice."""
    _declared[name] = worker


def declared() -> dict[str, type[Poller]]:
    return dict(_declared)


class Fleet:
    """What the record store knows of every worker, whatever was imported here."""

    def __init__(self, client: redis.Redis, prefix: str):
        self._client, self._prefix = client, f"{prefix}polling:"

    def names(self) -> dict[str, int]:
        """Those that are declared here or were ever at work, by name, with how many may be at work at once."""
        seen = cast(dict[str, str], self._client.hgetall(f"{self._prefix}names"))
        found = {name: int(instances) for name, instances in seen.items()}
        return dict(sorted((found | {name: worker.instances for name, worker in _declared.items()}).items()))

    def is_stopped(self, name: str) -> bool:
        return bool(self._client.sismember(f"{self._prefix}stopped", name))

    def stop(self, name: str) -> None:
        """Nobody begins another batch of this worker, until ``start``. Raises UnknownWorker."""
        self._client.sadd(f"{self._prefix}stopped", self._known(name))

    def start(self, name: str) -> None:
        """The opposite. Raises UnknownWorker."""
        self._client.srem(f"{self._prefix}stopped", self._known(name))

    def holdings(self, name: str) -> list[dict[str, Any]]:
        """A row for each slot that is held: ``slot fence host pid how since``, and the holder's progress."""
        count = self.names().get(name, 1)
        with self._client.pipeline(transaction=False) as pipe:
            for number in range(count):
                pipe.hgetall(f"{self._prefix}slot:{name}:{number}")
            found = pipe.execute()
        return [_row(number, fields) for number, fields in enumerate(found) if fields]

    def workers(self) -> list[dict[str, Any]]:
        """Every worker: ``name instances stopped holders``, by name."""
        return [
            {
                "name": name,
                "instances": instances,
                "stopped": self.is_stopped(name),
                "declared": name in _declared,
                "holders": self.holdings(name),
            }
            for name, instances in self.names().items()
        ]

    def _known(self, name: str) -> str:
        if name not in (known := self.names()):
            raise UnknownWorker(name, known)
        return name


def fleet() -> Fleet:
    return Fleet(store.client(), store.key_prefix())


def whoever_holds(slots: Slots) -> str:
    """``mailer is at work at shop1, process 4711``."""
    try:
        found = Fleet(slots.client, slots.prefix.removesuffix("polling:")).holdings(slots.name)
    except redis.RedisError:
        found = []
    places = [f"{one['host']}, process {one['pid']}" for one in found]
    return f"it is at work at {'; '.join(places)}" if places else "its slots are taken"


def own_slots(worker: Poller) -> Slots:
    return slots_of(worker.name, worker.instances)


def _row(number: int, fields: dict[str, str]) -> dict[str, Any]:
    facts = msgspec.json.decode(fields["facts"])
    progress = msgspec.json.decode(fields["progress"]) if "progress" in fields else {}
    kept = {key: progress.get(key) for key in ("state", "processed", "batches", "errors", "last_error")}
    times = {"since": _time(facts.pop("since")), "last_run_at": _time(progress.get("last_run_at"))}
    return {"slot": number, "fence": int(fields["fence"]), **facts, **kept, **times}


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
