"""Work that polls: a class with one method, run again and again by one process of the whole fleet.

>>> class Mailer(BatchWorker):
...     name = "mailer"
...     def process_batch(self) -> int:
...         return send(outbox.take(100))

``python -m MODULE`` runs it in the foreground, workers that serve the queue ``batch`` run it in slices as a job; either
way no more of it are at work than ``instances``. docs/workers.md has the whole of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, NoReturn

from platform.polling import keeping, register
from platform.polling.errors import BadWorker
from platform.polling.loop import Stop
from platform.polling.pace import Pace
from platform.polling.slices import SliceStop, run_slice
from platform.polling.tenure import Tenure
from platform.queues import BATCH
from platform.unique import Unique
from tasks import app, entrance

#: A job ends after so many runs, and another follows: deaths are counted for each job, and three are its end.
MOST_RUNS = 50
NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")


class BatchWorker:
    """Derive, write ``process_batch``; the rest as needed. Raises BadWorker for attributes that make no sense.

    ``instances`` is how many may be at work at once, over all machines. After work the next batch comes ``active_s``
    seconds later, without work later and later, up to ``idle_s``. ``queue``: whose workers run it as well; None, only
    processes of its own. One object serves a whole tenure of a slot; what must outlive that is kept elsewhere.
    """

    name: ClassVar[str]
    instances: ClassVar[int] = 1
    active_s: ClassVar[float] = 0.1
    idle_s: ClassVar[float] = 5.0
    queue: ClassVar[str | None] = BATCH

    _tenure: Tenure | None = None
    _stop: Stop | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = f"{entrance.module_of(cls)}.{cls.__qualname__}".replace("<locals>", "-")
        if cls.process_batch is not BatchWorker.process_batch:  # else it is there to be derived from
            _check(cls)
            if cls.__module__ == "__main__":
                entrance.take_over()
            _declare(cls)

    def process_batch(self) -> int:
        """Do some work and return how much: 0 where there was nothing to do. What it raises is tried again later."""
        raise NotImplementedError

    def on_startup(self) -> None:
        """Called with a slot in hand, before its first batch."""

    def on_shutdown(self) -> None:
        """Called after the last batch, before the slot is given back; also after LeaseLost."""

    def on_error(self, exc: Exception) -> None:
        """Called with what ``process_batch``, or ``on_startup``, raised; the loop has logged it."""

    @property
    def fence(self) -> int:
        """A number that is greater in every tenure than in all before; 0 outside of one.

        Send it along with what you change elsewhere and let that refuse a smaller one than it has seen.
        """
        return self._tenure.fence if self._tenure else 0

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop: a long batch may return early with what it has done."""
        return bool(self._stop and self._stop.is_asked) or bool(self._tenure and self._tenure.is_told_to_stop)

    def check_lease(self) -> None:
        """Raises LeaseLost if this process was silent for so long that another may be at work; costs nothing."""
        if self._tenure:
            self._tenure.check()

    def attach(self, tenure: Tenure, stop: Stop) -> None:
        """For the loop: whose slot the next batches are done in."""
        self._tenure, self._stop = tenure, stop

    @classmethod
    def start(cls) -> None:
        """Let it be at work, wherever it is run; it is, unless it was stopped. Workers on its queue begin at once."""
        keeping.start(app, cls.name)

    @classmethod
    def stop(cls) -> None:
        """Nobody begins another batch of it, whatever restarts, until ``start``."""
        keeping.stop(cls.name)

    @classmethod
    def main(cls, arguments: Sequence[str] | None = None) -> NoReturn:
        """The program ``python -m MODULE [--once] [--health-port N]``; exits."""
        entrance.run(cls, arguments)


def _check(cls: type[BatchWorker]) -> None:
    if not isinstance(cls.name, str) or not NAME.fullmatch(cls.name):
        raise BadWorker(f"{cls.__qualname__}: name={cls.name!r}: use up to 100 letters, digits, '_', '.' and '-'")
    if not isinstance(cls.instances, int) or cls.instances < 1:
        raise BadWorker(f"{cls.__qualname__}: instances={cls.instances!r}: give a whole number, 1 or more")
    if not 0 <= cls.active_s <= cls.idle_s or cls.idle_s <= 0:
        raise BadWorker(f"{cls.__qualname__}: active_s={cls.active_s!r}, idle_s={cls.idle_s!r}: 0 ≤ active_s ≤ idle_s")


def _declare(cls: type[BatchWorker]) -> None:
    before: type = register.declare(cls.name, cls)
    if before is not cls:
        if entrance.place_of(before) != entrance.place_of(cls):
            raise BadWorker(f"{entrance.place_of(before)} is called {cls.name!r} already; give this one another name")
        register.redeclare(cls.name, cls)
    elif cls.queue is not None:
        _add_task(cls.name, cls.queue)


def _add_task(name: str, queue: str) -> None:
    """The Celery task of this name: a job for each slot, which ``platform.polling.keeping`` submits.

    The result of one that ended with its last run is how the next one is to go on; of one that was stopped, None.
    """

    @app.task(name=name, bind=True, queue=queue, max_retries=MOST_RUNS, unique=Unique(by=("number",)))
    def run(self: Any, number: int = 0, rest_s: float = 0.0, failures: int = 0) -> keeping.Next | None:
        worker: Any = register.declared()[name]
        pace = Pace(worker.active_s, worker.idle_s, rest_s, failures)
        again = run_slice(worker(), pace, SliceStop(self.cancelled))
        if again is None:
            return None
        carried = {"number": number, "rest_s": pace.rest_s, "failures": pace.failures}
        if self.request.retries >= MOST_RUNS:
            return {"countdown": again.in_s, "kwargs": carried}
        raise self.retry(exc=again.why, countdown=again.in_s, kwargs=carried)
