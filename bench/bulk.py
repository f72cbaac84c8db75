"""Handing over many jobs at once, for this platform and its peers on one Valkey; and bare LPUSHes of the same bytes.

No worker runs. In every round, which begins with an empty server, each system has a process of its own and its jobs in
several turns, so that whatever else slows the machine down meets them all; the order moves on by one each turn. In the
end all messages must be there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import redis

from bench import place
from bench.driving import Driver
from bench.entrants import PLATFORM_MODULE, Entrant, schedule
from bench.measures import BenchmarkFailed, Measure, Options, Results, System, Tell
from bench.place import Place
from bench.systems.lpush import LIST, MESSAGE

SUMMARY = "many jobs handed over at once; against Celery, kombu's batches, RQ and bare LPUSHes"
BASELINE = "celery"
WARM_UP_JOBS = 100
#: Of ``--jobs``: so many at once. Who hands them over one by one has a tenth of them to do.
TIMES = 100
TURNS = 5
OURS = "{platform}:queue:offload"

MEASURES = (
    Measure("bulk", "Handing over many jobs", "jobs/s", more_is_better=True),
    Measure("of_lpush", "Share of bare LPUSHes, in the same round", "of 1", more_is_better=True),
    Measure("cpu", "CPU of the process and the server", "µs/job", more_is_better=False),
)


@dataclass(frozen=True)
class Bulk:
    """An entrant, where its messages lie, and how many of the jobs it is given."""

    entrant: Entrant
    lists: str
    share: float = 1.0


@dataclass
class Spent:
    """On so many jobs: seconds, and those of the process's CPU and the server's together."""

    jobs: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0

    def add(self, jobs: int, seconds: float, cpu_s: float) -> None:
        self.jobs, self.seconds, self.cpu_s = self.jobs + jobs, self.seconds + seconds, self.cpu_s + cpu_s

    @property
    def rate(self) -> float:
        return self.jobs / self.seconds


ENTRANTS = (
    Bulk(
        Entrant(
            System("platform", "this platform", "submit_many; each job on record, in four sorted sets", is_ours=True),
            PLATFORM_MODULE,
        ),
        f"{OURS}*",
    ),
    Bulk(
        Entrant(System("celery", "Celery", "a loop of delay(); Redis result backend"), "bench.systems.celery_tasks"),
        "celery",
        0.1,
    ),
    Bulk(
        Entrant(
            System("celery-batch", "Celery, kombu's batch", "apply_async in Producer.batch(); Redis result backend"),
            "bench.systems.celery_batch",
        ),
        "batched",
        0.1,
    ),
    Bulk(
        Entrant(System("rq", "RQ", "enqueue_many, 500 at a time; each job a hash"), "bench.systems.rq_tasks"),
        "rq:queue:default",
    ),
    Bulk(
        Entrant(
            System("lpush", "bare LPUSH", "the platform's own message, pipelined by redis-py, 500 at a time; no job"),
            "bench.systems.lpush",
        ),
        LIST,
    ),
)
SYSTEMS = tuple(bulk.entrant.system.key for bulk in ENTRANTS)
NOTES = (
    "One process hands over all jobs; nothing runs meanwhile. Everything is as each system ships it. "
    "Who hands over one by one does a tenth of the jobs: its rate does not depend on how many there are.",
    "CPU hardly depends on what else the machine does; who waits for whom shows in jobs per second alone.",
    "Bare LPUSHes: what the bytes of the platform's messages cost without records, ids or Celery.",
)


def measure(options: Options, tell: Tell) -> Results:
    """Raises BenchmarkFailed when a message is missing or there twice."""
    chosen = [bulk for bulk in ENTRANTS if not options.systems or bulk.entrant.system.key in options.systems]
    if missing := [bulk.entrant.system.label for bulk in chosen if not bulk.entrant.is_installed()]:
        raise BenchmarkFailed(f"not installed: {', '.join(missing)}; `make bench` installs what is compared")
    jobs = options.jobs * TIMES
    results = Results(
        benchmark="bulk",
        title="Many jobs at once",
        measures=MEASURES,
        systems=[bulk.entrant.system for bulk in chosen],
        baseline=BASELINE,
        parameters={"repeat": options.repeat, "jobs": jobs, "turns": TURNS},
        notes=NOTES,
    )
    with place.temporary() as here:
        results.versions["valkey"] = here.client.info("server")["valkey_version"]
        message = _message(here)
        for number in range(options.repeat):
            tell(f"round {number + 1} of {options.repeat}")
            _add(results, _round(chosen, here, jobs, message, results))
    return results


def _add(results: Results, spent: Mapping[Bulk, Spent]) -> None:
    bare = next((found.rate for bulk, found in spent.items() if bulk.entrant.system.key == "lpush"), None)
    for bulk, found in spent.items():
        share = {"of_lpush": found.rate / bare} if bare else {}
        results.add(bulk.entrant.system.key, {"bulk": found.rate, "cpu": found.cpu_s / found.jobs * 1e6} | share)


def _message(here: Place) -> bytes:
    """One of the platform's own, for whoever pushes the same bytes."""
    ours = ENTRANTS[0]
    with _driver(ours.entrant, here) as driver:
        driver.ask("bulk", 1)
    (found,) = (here.client.lindex(name, 0) for name in _lists(here.client, ours.lists))
    assert isinstance(found, bytes)
    return found


def _round(bulks: Sequence[Bulk], here: Place, jobs: int, message: bytes, results: Results) -> dict[Bulk, Spent]:
    """What each spent, after all took turns and each one's messages are there."""
    here.client.flushall()
    here.client.set(MESSAGE, message)
    counts = {bulk: max(1, int(jobs * bulk.share / TURNS)) for bulk in bulks}
    spent = {bulk: Spent() for bulk in bulks}
    with ExitStack() as stack:
        drivers = {bulk: stack.enter_context(_driver(bulk.entrant, here)) for bulk in bulks}
        for driver in drivers.values():
            results.versions |= driver.versions
            driver.ask("bulk", WARM_UP_JOBS)
        for _, bulk in schedule(bulks, TURNS):
            before_s = _server_cpu_s(here)
            answer = drivers[bulk].ask("bulk", counts[bulk])
            spent[bulk].add(counts[bulk], answer["seconds"], answer["cpu_s"] + _server_cpu_s(here) - before_s)
    for bulk in bulks:
        _check(bulk, here, spent[bulk].jobs + WARM_UP_JOBS)
    return spent


def _server_cpu_s(here: Place) -> float:
    used = here.client.info("cpu")
    return float(used["used_cpu_user"] + used["used_cpu_sys"])


def _check(bulk: Bulk, here: Place, count: int) -> None:
    there = sum(int(here.client.llen(name)) for name in _lists(here.client, bulk.lists))
    if there != count:
        raise BenchmarkFailed(f"{bulk.entrant.system.label}: {count} jobs were handed over, {there} messages are there")


def _driver(entrant: Entrant, here: Place) -> Driver:
    command = [entrant.python, "-m", "bench.systems.driver", entrant.module]
    return Driver(command, here.log("driver"), entrant.environment(here), [])


def _lists(client: redis.Redis, pattern: str) -> list[bytes]:
    return list(client.scan_iter(pattern, _type="list"))
