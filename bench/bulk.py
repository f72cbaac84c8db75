"""Handing over many jobs at once, for this platform and its peers on one Valkey; and bare LPUSHes of the same bytes.

No worker runs. Every system has its turn in every round, on an empty server and in a process of its own, and after it
all of its messages must be there; the order moves on by one each round.
"""

from __future__ import annotations

from collections.abc import Mapping
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
OURS = "{platform}:queue:offload"

MEASURES = (
    Measure("bulk", "Handing over many jobs", "jobs/s", more_is_better=True),
    Measure("of_lpush", "Share of bare LPUSHes, in the same round", "of 1", more_is_better=True),
)


@dataclass(frozen=True)
class Bulk:
    """An entrant, where its messages lie, and how many of the jobs it is given."""

    entrant: Entrant
    lists: str
    share: float = 1.0


ENTRANTS = (
    Bulk(
        Entrant(
            System("platform", "this platform", "submit_many; each job on record, in five indexes", is_ours=True),
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
        "celery",
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
    "Bare LPUSHes: what the bytes of the platform's messages cost without records, ids or Celery.",
)


def measure(options: Options, tell: Tell) -> Results:
    """Raises BenchmarkFailed when a message is missing or there twice."""
    chosen = {b.entrant: b for b in ENTRANTS if not options.systems or b.entrant.system.key in options.systems}
    if missing := [entrant.system.label for entrant in chosen if not entrant.is_installed()]:
        raise BenchmarkFailed(f"not installed: {', '.join(missing)}; `make bench` installs what is compared")
    jobs = options.jobs * TIMES
    results = Results(
        benchmark="bulk",
        title="Many jobs at once",
        measures=MEASURES,
        systems=[entrant.system for entrant in chosen],
        baseline=BASELINE,
        parameters={"repeat": options.repeat, "jobs": jobs},
        notes=NOTES,
    )
    with place.temporary() as here:
        results.versions["valkey"] = here.client.info("server")["valkey_version"]
        message = _message(here)
        rates: dict[str, float] = {}
        for number, entrant in schedule(list(chosen), options.repeat):
            tell(f"round {number} of {options.repeat}: {entrant.system.label}")
            rates[entrant.system.key] = _turn(chosen[entrant], here, jobs, message, results)
            if len(rates) == len(chosen):
                _add(results, rates)
                rates = {}
    return results


def _add(results: Results, rates: Mapping[str, float]) -> None:
    bare = rates.get("lpush")
    for system, rate in rates.items():
        results.add(system, {"bulk": rate} | ({"of_lpush": rate / bare} if bare else {}))


def _message(here: Place) -> bytes:
    """One of the platform's own, for whoever pushes the same bytes."""
    ours = ENTRANTS[0]
    with _driver(ours.entrant, here) as driver:
        driver.ask("bulk", 1)
    (found,) = (here.client.lindex(name, 0) for name in _lists(here.client, ours.lists))
    assert isinstance(found, bytes)
    return found


def _turn(bulk: Bulk, here: Place, jobs: int, message: bytes, results: Results) -> float:
    count = max(1, int(jobs * bulk.share))
    here.client.flushall()
    here.client.set(MESSAGE, message)
    with _driver(bulk.entrant, here) as driver:
        results.versions |= driver.versions
        driver.ask("bulk", WARM_UP_JOBS)
        seconds = driver.ask("bulk", count)["seconds"]
    there = sum(int(here.client.llen(name)) for name in _lists(here.client, bulk.lists))
    if there != count + WARM_UP_JOBS:
        raise BenchmarkFailed(f"{bulk.entrant.system.label}: of {count + WARM_UP_JOBS} messages {there} are there")
    return count / seconds


def _driver(entrant: Entrant, here: Place) -> Driver:
    command = [entrant.python, "-m", "bench.systems.driver", entrant.module]
    return Driver(command, here.log("driver"), entrant.environment(here), [])


def _lists(client: redis.Redis, pattern: str) -> list[bytes]:
    return list(client.scan_iter(pattern, _type="list"))
