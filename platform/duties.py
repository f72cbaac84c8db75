"""Background duties of a worker's main process, in threads of their own: each duty a step with an interval.

A step is short, safe to run in every worker at once, and may fail: a later round tries again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from platform import losses
from platform.batches import mending
from platform.deadletters.aside import take_aside
from platform.deadletters.content import Content
from platform.delayed.pump import POLL_S, Pump
from platform.delayed.schedule import delayed
from platform.endpoints import broker_url, is_redis, records_are_beside_queues
from platform.errors import WorkerCrashed
from platform.jobs.ledger import ledger
from platform.leases.worker import LeasedWorker
from platform.polling import keeping, slices
from platform.queueing import consumption
from platform.registry import Beacon
from platform.routing import gaps
from platform.routing.subscriptions import SWEEP_BATCH as BATCH_OF_GROUPS
from platform.routing.subscriptions import subscriptions
from platform.settings import settings
from platform.stopping import stop_cancelled
from platform.transport import key_prefix
from platform.watchdog import Watchdog

log = logging.getLogger(__name__)

SWEEP_BATCH = 500
BATCHES_AT_ONCE = 20
#: A duty that failed waits this long at least, in seconds: its server is away, and each try is a line in the log.
FAILURE_PAUSE_S = 2.0
ASIDE_INTERVAL_S = 1.0
#: Seldom, and not at the start: it brings SQLAlchemy into a worker's main process.
CHANGES_INTERVAL_S = 600.0
SUBSCRIPTIONS_INTERVAL_S = 5.0


@dataclass
class Duty:
    """``step`` is called every ``interval_s`` seconds, in the duties' thread, or when it says itself: it may return
    in how many seconds."""

    name: str
    interval_s: float
    step: Callable[[], Any]
    due_at: float = field(default=0.0)


def forget_old_jobs() -> None:
    """Forget records past their retention, a batch at a time, until none is due."""
    while ledger().sweep(SWEEP_BATCH) == SWEEP_BATCH:
        continue


def forget_old_batches() -> None:
    """The same for batches, of which one may be a hundred thousand items."""
    while mending.forget_old(BATCHES_AT_ONCE) == BATCHES_AT_ONCE:
        continue


def tidy_dead_letters() -> None:
    """Forget letters past their retention, and take back what a program that died was about to publish again."""
    from platform.deadletters.register import dead_letters

    while dead_letters().sweep(SWEEP_BATCH) == SWEEP_BATCH:
        continue
    dead_letters().take_back_overdue(SWEEP_BATCH)


def forget_old_changes() -> None:
    """Forget which changes were made to documents once they cannot come again, and documents deleted long ago."""
    from platform.documents import store

    while store.prune(SWEEP_BATCH) >= SWEEP_BATCH:
        continue


def forget_dead_sockets() -> None:
    """Strike socket processes that died off the groups they joined, a batch at a time, until none is left."""
    while subscriptions().sweep() == BATCH_OF_GROUPS:
        continue


class Duties(threading.Thread):
    """Runs the duties until ``stop()``; a daemon, so that it never holds up a worker's exit."""

    def __init__(self, duties: list[Duty], name: str = "platform-duties"):
        super().__init__(name=name, daemon=True)
        self.duties = duties
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.is_set():
            for duty in self.duties:
                if time.monotonic() >= duty.due_at:
                    self._do(duty)
            self._stopping.wait(max(0.001, min(duty.due_at for duty in self.duties) - time.monotonic()))

    def _do(self, duty: Duty) -> None:
        began = time.monotonic()
        try:
            wish = duty.step()
            duty.due_at = began + (wish if isinstance(wish, float) else duty.interval_s)
        except Exception:  # the edge of the loop: a duty that failed now may succeed in a while
            pause_s = max(duty.interval_s, FAILURE_PAUSE_S)
            duty.due_at = began + pause_s
            log.warning("duty %s failed; it is tried again in %s s", duty.name, pause_s, exc_info=True)

    def stop(self) -> None:
        self._stopping.set()


_running: list[Duties] = []


def begin(consumer: Any, leased: LeasedWorker) -> None:
    """Start this worker's duties; called once its consumer is ready."""
    beacon = Beacon(consumer)
    watchdog = Watchdog(settings().watchdog_s, leased.broker_answers)
    watchdog.arm(consumer)
    type(consumer).begun = staticmethod(watchdog.arm)
    duties = [
        Duty("heartbeat", beacon.INTERVAL_S, beacon.beat),
        Duty("cancellations", 1.0, lambda: stop_cancelled(consumer)),
        Duty("watchdog", min(5.0, settings().watchdog_s / 4), watchdog.check),
        Duty("retention", 30.0, forget_old_jobs),
        Duty("old batches", 30.0, forget_old_batches),
        Duty("batches", mending.INTERVAL_S, mending.mend),
        Duty("polling", keeping.INTERVAL_S, lambda: keeping.keep(consumer.app, beacon.queues())),
        Duty("dead letters", 30.0, tidy_dead_letters),
        Duty("overdue gaps", gaps.INTERVAL_S, gaps.give_up_overdue),
        Duty("subscriptions", SUBSCRIPTIONS_INTERVAL_S, forget_dead_sockets),
        Duty("put aside", ASIDE_INTERVAL_S, lambda: take_aside(_tell_followers)),
        Duty("documents", CHANGES_INTERVAL_S, forget_old_changes, due_at=time.monotonic() + CHANGES_INTERVAL_S),
        *(Duty("pauses", own.INTERVAL_S, partial(own.follow, consumer)) for own in consumption.own()),
    ]
    # Apart: nothing that takes a while may make a delayed job late.
    for thread in Duties(duties), Duties([_pump(consumer.app)], "platform-pump"):
        _running.append(thread)
        thread.start()


def _tell_followers(content: Content, error: str) -> None:
    if content.envelope is not None:
        headers = content.envelope.headers
        exc = WorkerCrashed(headers.get("id", ""), settings().max_deaths, error)
        losses.tell_followers(headers, [content.args, content.kwargs, content.embed], exc)


def _pump(app: Any) -> Duty:
    prefix, is_beside = key_prefix(settings()), records_are_beside_queues()
    hearts = prefix if is_beside or not is_redis(broker_url(settings())) else ""
    pump = Pump(delayed(), app, prefix if is_beside else None, hearts, settings().lease_ttl_s)
    return Duty("delayed jobs", POLL_S, pump.run)


def end() -> None:
    slices.leave()
    while _running:
        _running.pop().stop()
