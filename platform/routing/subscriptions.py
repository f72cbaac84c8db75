"""The registry of subscriptions: which socket processes have members of which groups. Kept in Valkey by scripts.

A process counts its own members: it joins a group with the first and leaves it with the last, so that the registry
grows with groups and processes, not with devices. It says every few seconds that it is there; what a process that does
not joined is swept, and the process, should it wake up, learns that it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import redis

from platform import store
from platform.documents.filters import Filter
from platform.jobs.ledger import ledger
from platform.leases.scripts import Script, run
from platform.settings import Settings, settings

LUA = Path(__file__).parent / "lua"
_SHARED = (LUA / "registry.lua").read_text()
SCRIPTS = {
    file.stem: Script(_SHARED + file.read_text()) for file in sorted(LUA.glob("*.lua")) if file.stem != "registry"
}
#: A process that gave no sign of life for so long is taken for dead.
TTL_S = 15.0
BEAT_S = 4.0
#: Groups struck off by one script call.
SWEEP_BATCH = 500
#: Groups joined or left by one script call.
MOST_GROUPS = 500
NO_FILTER = "-"


@dataclass(frozen=True)
class Group:
    """Subscriptions that are told the same: those of a channel with one filter, or with none."""

    channel: str
    filter: Filter | None = None

    @property
    def key(self) -> str:
        """The group's name in the messages to socket processes."""
        return f"{self.filter.key}@{self.channel}" if self.filter else self.channel


class Following(NamedTuple):
    """A group as the registry knows it: its filter's key (empty: none) and the processes that have members of it."""

    key: str
    filter_key: str
    processes: Sequence[str]


@dataclass(frozen=True)
class Audience:
    """Who follows channels, as of one moment; ``seen`` is the latest join by then."""

    seen: int
    groups: dict[str, list[Following]]


class Subscriptions:
    """The registry in one store. Every call may be repeated; raises BrokerUnavailable."""

    def __init__(self, client: redis.Redis, config: Settings, patience_s: Callable[[], float] = lambda: 0.0):
        self.client, self.prefix = client, store.key_prefix(config)
        #: How long a call waits for a store that is away, in seconds.
        self.patience_s = patience_s

    # -- for socket processes

    def open(self, process: str, ttl_s: float = TTL_S) -> bool:
        """The process is there. Its name is one never used before; False if it was, and is being swept."""
        return bool(self._call("open", process, int(ttl_s * 1000)))

    def beat(self, process: str, ttl_s: float = TTL_S) -> bool:
        """The process is still there; to be called every ``BEAT_S``.

        False: it was taken for dead and nobody tells it anything any more. It must go on under a new name, join all
        its groups again, and read the history of each from where it stands.
        """
        return bool(self._call("beat", process, int(ttl_s * 1000)))

    def join(self, process: str, groups: Iterable[Group]) -> bool:
        """The process has members of the groups, and is told what they are to get from now on.

        What was routed before and is delivered later it is told to read (``platform.streams.delivery``); so history
        read after this has all that came before. False, and nothing is done, if it was taken for dead.
        """
        facts = [(group.channel, *_filter_facts(group)) for group in groups]
        return all(self._call("join", process, *_flat(some)) for some in _batches(facts))

    def leave(self, process: str, groups: Iterable[Group]) -> None:
        """The process has no members of the groups any more."""
        for some in _batches([(group.channel, _filter_facts(group)[0]) for group in groups]):
            self._call("leave", process, *_flat(some))

    def close(self, process: str) -> None:
        """The process ends: it is told nothing from now on, and its name is not used again."""
        self._call("close", process)
        while self.sweep() == SWEEP_BATCH:
            continue

    # -- for everybody else

    def sweep(self, limit: int = SWEEP_BATCH) -> int:
        """Strike the dead off up to ``limit`` of the groups they joined; returns of how many. A duty of workers."""
        return int(self._call("sweep", limit))

    def lookup(self, channels: Sequence[str]) -> Audience:
        """Who follows the channels: one command, whatever their number; channels that nobody follows are not in it."""
        seen, *lines = self._call("lookup", *channels).split("\n")
        return Audience(int(seen), dict(_followings(channels, line) for line in lines))

    def filter_texts(self, keys: Sequence[str]) -> dict[str, str]:
        """The canonical texts of filters that are in use, by their keys."""
        if not keys:
            return {}
        found: Any = store.insist(
            lambda: self.client.hmget(f"{self.prefix}routing:filters", list(keys)), self.patience_s()
        )
        return {key: text for key, text in zip(keys, found, strict=True) if text is not None}

    def processes(self) -> list[str]:
        """The living socket processes."""
        found: Any = self.client.smembers(f"{self.prefix}routing:processes")
        return sorted(found)

    def _call(self, script: str, *arguments: Any) -> Any:
        args = [self.prefix, *arguments]
        return store.insist(lambda: run(self.client, SCRIPTS[script], args=args), self.patience_s())


@cache
def subscriptions() -> Subscriptions:
    """This process's registry."""
    return Subscriptions(store.client(), settings(), lambda: ledger().patience_s)


def _filter_facts(group: Group) -> tuple[str, str]:
    return (group.filter.key, group.filter.text) if group.filter else (NO_FILTER, "")


def _followings(channels: Sequence[str], line: str) -> tuple[str, list[Following]]:
    """A channel and its groups, of a line of ``lookup.lua``."""
    number, unfiltered, *filtered = line.split("\t")
    channel = channels[int(number)]
    found = [Following(channel, "", _processes(unfiltered))] if unfiltered else []
    for key, members in zip(filtered[::2], filtered[1::2], strict=True):
        found.append(Following(f"{key}@{channel}", key, _processes(members)))
    return channel, found


def _processes(members: str) -> list[str]:
    """Each stands before the time when it joined."""
    return members.split()[::2]


def _batches(facts: Sequence[tuple[str, ...]]) -> list[Sequence[tuple[str, ...]]]:
    return [facts[start : start + MOST_GROUPS] for start in range(0, len(facts), MOST_GROUPS)]


def _flat(facts: Sequence[tuple[str, ...]]) -> list[str]:
    return [part for fact in facts for part in fact]
