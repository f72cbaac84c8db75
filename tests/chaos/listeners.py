"""Clients that follow channels, are cut off, and come back with the place where they stand; and what they were told."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple

from platform.routing.subscriptions import Group
from tests.chaos.wire import Ending, NotLetIn, Wire

#: Clients that connect in a second, when all begin.
STARTS_PER_S = 300
#: Of stays, those that end before an answer may have come, and those in which nothing is read for a while.
HASTY, STALLING = 0.1, 0.1
HASTY_S, MOST_STALL_S, MOST_AWAY_S = 0.05, 2.0, 2.0
#: A client that is told to come back later does, but does not wait for longer than this, in seconds.
MOST_RETRY_S = 3.0
FIRST_BACKOFF_S, MOST_BACKOFF_S = 0.1, 2.0
#: How a server may end a connection: for a restart, because its client is too slow, or because it was killed.
RESTART, TOO_SLOW, LOST = 1012, 4008, None


class Answer(NamedTuple):
    """To a subscription: from where it was asked for, when this was answered (seconds since 1970), and what was said.

    ``heard`` is how many frames had come before.
    """

    since: int | None
    told_at: float
    recovered: bool
    offset: int
    heard: int


@dataclass
class Following:
    """One thing that a client follows, and what it was told: an offset and its text's hash for each frame.

    ``wish`` is how it asks to be in the group; ``since`` None: it begins with what happens then.
    """

    group: Group
    wish: dict[str, Any]
    since: int | None = None
    offsets: array[int] = field(default_factory=lambda: array("q"))
    digests: array[int] = field(default_factory=lambda: array("q"))
    answers: list[Answer] = field(default_factory=list)
    place: dict[str, Any] | None = None
    repeated: int = 0

    @property
    def told(self) -> str:
        """The channel, as frames name it."""
        return self.group.channel

    def ask(self) -> dict[str, Any]:
        """A subscription, from where it stands."""
        since = self.since if self.place is None else self.place
        return self.wish if since is None else {**self.wish, "since": since}

    def begin(self, message: dict[str, Any]) -> None:
        since = self.place["offset"] if self.place else self.since
        offset, recovered = message["offset"], message["recovered"]
        self.answers.append(Answer(since, time.time(), recovered, offset, len(self.offsets)))
        self.place = {"epoch": message["epoch"], "offset": max(offset, since or 0)}

    def hear(self, offset: int, text: bytes) -> None:
        assert self.place is not None, "a frame came before the answer"
        if offset <= self.place["offset"]:
            self.repeated += 1
            return
        self.place["offset"] = offset
        self.offsets.append(offset)
        self.digests.append(hash(text))


class Listener:
    """One client: connects, says what it follows and from where, until something ends that; and again."""

    def __init__(self, crowd: Crowd, key: str, followed: Sequence[Following]):
        self._crowd, self._key = crowd, key
        self.followed = {one.told: one for one in followed}
        self.is_caught_up = False
        self._away_since: float | None = None
        self._backoff_s = FIRST_BACKOFF_S
        self._wire: Wire | None = None

    async def run(self) -> None:
        while not self._crowd.over.done():
            pause_s = await self._visit()
            self.is_caught_up = False
            await asyncio.sleep(pause_s)

    async def _visit(self) -> float:
        """One connection, to its end; how long to stay away then, in seconds."""
        try:
            self._wire = wire = await Wire.open(self._crowd.port, self._key, self._take)
        except NotLetIn as exc:
            self._crowd.not_let_in[exc.status] += 1
            return min(exc.retry_after_s, MOST_RETRY_S) + self._backoff()
        except OSError:
            return self._backoff()
        self._crowd.connected_at.append(time.monotonic())
        wire.say(type="resume", subscriptions=[one.ask() for one in self.followed.values()])
        await self._until_leaving(wire)
        if not wire.ended.done():
            return await self._leave(wire)
        self._away_since = self._away_since or time.monotonic()
        return self._pause_after(wire.ended.result())

    async def _until_leaving(self, wire: Wire) -> None:
        """Return when it wants to leave, or the connection has ended."""
        crowd = self._crowd
        if not crowd.calm.done() and crowd.chance.random() < STALLING:
            wire.stall()
            await _first_of([wire.ended, crowd.calm], crowd.chance.uniform(0, MOST_STALL_S))
            wire.go_on()
        if not crowd.calm.done():
            await _first_of([wire.ended, crowd.calm], crowd.some_stay_s())
        if crowd.calm.done():
            await _first_of([wire.ended, crowd.over], None)

    async def _leave(self, wire: Wire) -> float:
        """By its own wish; it is missed from when it wants to be back."""
        if self._crowd.chance.random() < 0.5:
            wire.close()
        else:
            wire.drop()
        self._crowd.left += 1
        await wire.ended
        await _first_of([self._crowd.over], self._crowd.chance.uniform(0, MOST_AWAY_S))
        self._away_since = time.monotonic()
        return 0.0

    def _pause_after(self, ending: Ending) -> float:
        self._crowd.endings[ending.code] += 1
        self._crowd.ended_at.append(time.monotonic())
        if ending.code == RESTART:
            return min(float(json.loads(ending.reason)["retry_after_ms"]) / 1000, MOST_RETRY_S)
        return self._backoff()

    def _backoff(self) -> float:
        self._backoff_s = min(2 * self._backoff_s, MOST_BACKOFF_S)
        return self._crowd.chance.uniform(0, self._backoff_s)

    # -- what it is told

    def _take(self, text: bytes) -> None:
        try:
            if text.startswith(b'{"event"'):
                self._hear(text)
            else:
                self._take_in(json.loads(text))
        except Exception as exc:  # shown by the test
            self._crowd.errors.append(f"{exc!r} of {text[:200]!r}")

    def _hear(self, text: bytes) -> None:
        """A data frame; its last members are its channel and its offset."""
        channel, _, offset = text[text.rindex(b',"channel":"') + 12 : -1].partition(b'","offset":')
        self.followed[channel.decode()].hear(int(offset), text)

    def _take_in(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "subscribed":
                self.followed[message["channel"]].begin(message)
            case "resumed" if message["count"] == len(self.followed):
                self._note_caught_up()
            case "error" if message["code"] == "unavailable" and self._wire is not None:
                self._crowd.unavailable += 1
                self._wire.drop()
            case "connected":
                pass
            case _:
                self._crowd.errors.append(f"told {message}")

    def _note_caught_up(self) -> None:
        self.is_caught_up = True
        self._backoff_s = FIRST_BACKOFF_S
        now = time.monotonic()
        self._crowd.caught_up_at.append(now)
        if self._away_since is not None:
            self._crowd.recoveries_s.append(now - self._away_since)
            self._away_since = None


class Crowd(threading.Thread):
    """Clients in a thread of their own, who are gone when it is left; moments are of ``time.monotonic``.

    ``stay_s`` is how long one stays before it leaves by its own wish, on average; None: it does not.
    """

    def __init__(self, port: int, seed: int, stay_s: float | None = None):
        super().__init__(name="crowd", daemon=True)
        self.port, self.chance = port, random.Random(seed)
        self.clients: list[Listener] = []
        self.errors: list[str] = []
        self.endings: Counter[int | None] = Counter()
        self.not_let_in: Counter[int] = Counter()
        self.left = self.unavailable = 0
        self.connected_at: list[float] = []
        self.caught_up_at: list[float] = []
        self.ended_at: list[float] = []
        self.recoveries_s: list[float] = []
        self._stay_s = stay_s
        self._loop = asyncio.new_event_loop()
        #: Done once nobody leaves by its own wish any more, and once all are to leave for good.
        self.calm: asyncio.Future[None] = self._loop.create_future()
        self.over: asyncio.Future[None] = self._loop.create_future()

    def add(self, key: str, *followed: Following) -> None:
        """One more client, before they start."""
        self.clients.append(Listener(self, key, followed))

    def some_stay_s(self) -> float | None:
        if self._stay_s is None:
            return None
        if self.chance.random() < HASTY:
            return self.chance.uniform(0, HASTY_S)
        return self.chance.expovariate(1 / self._stay_s)

    @property
    def followed(self) -> list[Following]:
        return [one for client in self.clients for one in client.followed.values()]

    @property
    def is_caught_up(self) -> bool:
        """Whether everybody is connected, and was told what it had missed."""
        return all(client.is_caught_up for client in self.clients)

    def run(self) -> None:
        if self._stay_s is None:
            self.calm.set_result(None)
        try:
            self._loop.run_until_complete(self._run())
        except Exception as exc:  # shown by the test
            self.errors.append(repr(exc))
        finally:
            self._loop.close()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for client in self.clients:
                group.create_task(client.run())
                await asyncio.sleep(1 / STARTS_PER_S)

    def calm_down(self) -> None:
        """Nobody leaves by its own wish any more."""
        self._loop.call_soon_threadsafe(self.calm.set_result, None)

    def stop(self) -> None:
        """Everybody leaves for good. Safe to call twice."""
        if self.is_alive():
            for future in (self.calm, self.over):
                self._loop.call_soon_threadsafe(_end, future)
            self.join(30)
        elif not self._loop.is_closed():
            self._loop.close()

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def most_in_a_second(moments: Sequence[float]) -> int:
    """How many of these, at most, are within one second."""
    ordered, first, most = sorted(moments), 0, 0
    for number, moment in enumerate(ordered):
        while moment - ordered[first] >= 1:
            first += 1
        most = max(most, number - first + 1)
    return most


async def _first_of(futures: Sequence[asyncio.Future[Any]], timeout_s: float | None) -> None:
    await asyncio.wait(futures, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
