"""A thread that kills workers at random; the same seed chooses the same victims at the same intervals."""

from __future__ import annotations

import random
import threading

from tests.chaos.deployment import Deployment


class Killer(threading.Thread):
    """SIGKILLs a worker every ``shortest_s`` to ``longest_s`` seconds until stopped: one time in three its main
    process alone, else everything in its group. Another is started in its place at once."""

    def __init__(self, deployment: Deployment, seed: int, shortest_s: float = 2.0, longest_s: float = 6.0):
        super().__init__(name="killer", daemon=True)
        self._deployment, self._chance = deployment, random.Random(seed)
        self._between = shortest_s, longest_s
        self._stopping = threading.Event()
        self.errors: list[str] = []

    def run(self) -> None:
        while not self._stopping.wait(self._chance.uniform(*self._between)):
            try:
                self._kill()
            except Exception as exc:  # shown by the test
                self.errors.append(repr(exc))

    def _kill(self) -> None:
        place = self._chance.choice(self._deployment.places)
        self._deployment.kill_worker(place, whole_group=self._chance.random() < 2 / 3)

    def stop(self) -> None:
        self._stopping.set()
        self.join(30)
