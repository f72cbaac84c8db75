"""A thread that does to workers, at random, whatever makes deliveries come again, and late."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from tests.chaos.deployment import Death, Deployment, Place

#: What is done, and how often of a hundred times.
ACTS = {
    "kill group": 25,
    "kill main": 10,
    "kill child": 15,
    "freeze": 12,
    "give back": 8,
    "take away": 20,
    "pause": 10,
}


class Tormentor(threading.Thread):
    """Does one thing every ``shortest_s`` to ``longest_s`` seconds until stopped; the same seed chooses the same.

    It kills a worker with its pool or its main process alone, and starts another; kills one process of a pool; stops a
    worker with SIGSTOP for ``lasting_s``, longer than its lease, and lets it go on; has one end at once, so that it
    gives back what it has; gives what all workers have to others, while they go on with it; and pauses one of
    ``queues`` for as long, so that much waits.
    """

    def __init__(
        self,
        deployment: Deployment,
        queues: Sequence[str],
        seed: int,
        lasting_s: float,
        shortest_s: float = 1.0,
        longest_s: float = 3.0,
    ):
        super().__init__(name="tormentor", daemon=True)
        self._deployment, self._queues, self._chance = deployment, queues, random.Random(seed)
        self._lasting_s, self._between = lasting_s, (shortest_s, longest_s)
        self._ends: dict[str, tuple[float, Callable[[], object]]] = {}
        self._frozen: Place | None = None
        self._stopping = threading.Event()
        self.done: Counter[str] = Counter()
        self.taken_away = 0
        self.errors: list[str] = []

    def run(self) -> None:
        while not self._stopping.wait(self._chance.uniform(*self._between)):
            try:
                self._end(time.monotonic())
                self._do(self._chance.choices([*ACTS], [*ACTS.values()])[0])
            except Exception as exc:  # shown by the test
                self.errors.append(repr(exc))

    def stop(self) -> None:
        """Nobody is frozen and nothing paused on return."""
        self._stopping.set()
        self.join(60)
        self._end(float("inf"))

    def __str__(self) -> str:
        return ", ".join(f"{act} {self.done[act]}" for act in ACTS) + f"; {self.taken_away} messages taken away"

    def _do(self, act: str) -> None:
        place = self._chance.choice([place for place in self._deployment.places if place is not self._frozen])
        if act in self._ends:
            act = "kill child"  # one at a time
        self.done[act] += 1
        match act:
            case "kill group" | "kill main":
                self._deployment.kill_worker(place, whole_group=act == "kill group")
            case "kill child":
                self._deployment.kill_child(place, self._chance)
            case "freeze":
                self._freeze(place)
            case "give back":
                self._deployment.deaths.append(Death(place.name, time.time(), "term"))
                place.worker.stop()
                self._deployment.start_worker(place)
            case "take away":
                self.taken_away += self._deployment.take_away()
            case "pause":
                self._pause(self._chance.choice(self._queues))

    def _freeze(self, place: Place) -> None:
        def thaw() -> None:
            self._deployment.thaw(place)
            self._frozen = None

        self._deployment.freeze(place)
        self._frozen = place
        self._ends["freeze"] = time.monotonic() + self._lasting_s, thaw

    def _pause(self, queue: str) -> None:
        self._deployment.steer(queue, "pause")
        self._ends["pause"] = time.monotonic() + self._lasting_s, lambda: self._deployment.steer(queue, "resume")

    def _end(self, now: float) -> None:
        """What has lasted long enough."""
        for act, (until, undo) in [*self._ends.items()]:
            if now >= until:
                undo()
                del self._ends[act]
