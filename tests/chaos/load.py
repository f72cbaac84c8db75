"""Client threads that submit jobs over HTTP until each is accepted."""

from __future__ import annotations

import random
import threading
import time
import uuid
from dataclasses import dataclass, field
from itertools import count

import httpx2

from tests.chaos.deployment import Deployment

PAUSE_S = 0.2
# Beyond the outage itself: publishers fail fast, and a key is free again 5 s after the store's return.
LONGEST_TRY_S = 60.0
LOOK_EVERY = 20
# Of a hundred jobs, and how long they take, in seconds: (how many, from, to).
MIX = ((86, 0.0, 0.03), (11, 0.05, 0.3), (2.7, 0.5, 1.5), (0.3, 3.0, 6.0))


def mixed_length(chance: random.Random) -> float:
    _, shortest, longest = chance.choices(MIX, weights=[share for share, _, _ in MIX])[0]
    return round(chance.uniform(shortest, longest), 3)


@dataclass
class Load:
    """``jobs`` jobs (None: until ``stop``) from ``clients`` threads; at most ``waiting`` accepted ones not yet done
    at a time."""

    deployment: Deployment
    jobs: int | None
    seed: int
    clients: int = 3
    waiting: int = 300
    accepted: list[str] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)  # how long each answer that was not 202 took, in seconds
    waits: list[float] = field(default_factory=list)  # how long a refused job took to be accepted, in seconds
    errors: list[str] = field(default_factory=list)

    def start(self) -> None:
        self._chance, self._turns = random.Random(self.seed), count()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._submit_all, name=f"client-{n}", daemon=True) for n in range(self.clients)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Submit no more; returns when what was under way is accepted."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    @property
    def is_done(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def _submit_all(self) -> None:
        try:
            with self.deployment.caller() as caller:
                while not self._stopping.is_set() and self._take_turn():
                    self._submit(caller, mixed_length(self._chance))
        except Exception as exc:  # shown by the test
            self.errors.append(repr(exc))

    def _take_turn(self) -> bool:
        turn = next(self._turns)
        if turn % LOOK_EVERY == 0:
            while turn - self.deployment.effects.count_ended() > self.waiting:
                time.sleep(PAUSE_S)
        return self.jobs is None or turn < self.jobs

    def _submit(self, caller: httpx2.Client, seconds: float) -> None:
        """Ask with one Idempotency-Key until the answer is 202."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        body = {"task": "toil.work", "args": [seconds]}
        refused, began = 0, time.monotonic()
        while (answer := self._ask(caller, body, headers)).status_code != 202:
            assert answer.status_code in (503, 409), answer.text
            assert time.monotonic() < began + LONGEST_TRY_S, f"refused for too long: {answer.text}"
            refused += 1
            time.sleep(PAUSE_S)
        self.accepted.append(answer.json()["job_id"])
        if refused:
            self.waits.append(time.monotonic() - began)

    def _ask(self, caller: httpx2.Client, body: dict, headers: dict[str, str]) -> httpx2.Response:
        asked_at = time.monotonic()
        answer = caller.post("/jobs", json=body, headers=headers)
        if answer.status_code != 202:
            self.refusals.append(time.monotonic() - asked_at)
        return answer
