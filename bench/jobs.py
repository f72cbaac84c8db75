"""Jobs per second and latency, for this platform and its peers on one Valkey.

Every system takes its turn in every round, so that whatever else slows the machine down meets them all; the
order moves on by one each round. A turn:

1. the worker starts, with two processes, and does some jobs to warm up;
2. latency: one job at a time, each handed over when the one before is done;
3. submit: the worker is frozen (SIGSTOP) and one process hands over all jobs, one by one;
4. run: the worker goes on (SIGCONT) until the counter says that all are done; 3 and 4 three times;
5. the worker ends, and the counters must say that each job ran exactly once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench import place
from bench.driving import Driver, frozen
from bench.entrants import ENTRANTS, WORKER_PROCESSES, Entrant, schedule, start_web
from bench.measures import BenchmarkFailed, Measure, Options, Results, Tell, percentile
from bench.place import Place
from bench.systems.work import COUNTER
from tests.processes import Program

SUMMARY = "no-op jobs: submitting, running, latency; against Celery, Dramatiq, RQ and Huey"
SYSTEMS = tuple(entrant.system.key for entrant in ENTRANTS)
BASELINE = "celery"
WARM_UP_JOBS = 30
LATENCY_JOBS = 200
PASSES = 3

MEASURES = (
    Measure("submit", "Submitting one by one", "jobs/s", more_is_better=True),
    Measure("run", f"Running with {WORKER_PROCESSES} processes", "jobs/s", more_is_better=True),
    Measure("latency_p50", "Latency when idle, p50", "ms", more_is_better=False),
    Measure("latency_p99", "Latency when idle, p99", "ms", more_is_better=False),
)

NOTES = (
    "A job is one INCR in the Valkey that also is the broker. Everything is as each system ships it, "
    f"but for the number of worker processes, {WORKER_PROCESSES} of each, and for logs, warnings only.",
    "The worker is frozen while jobs are submitted, and does nothing else but run them afterwards.",
    "Latency: from the call that submits to the job's last act, one job after another.",
)


def measure(options: Options, tell: Tell) -> Results:
    """Raises BenchmarkFailed when a system loses a job, runs one twice or does not come up."""
    entrants = [e for e in ENTRANTS if not options.systems or e.system.key in options.systems]
    if missing := [e.system.label for e in entrants if not e.is_installed()]:
        raise BenchmarkFailed(f"not installed: {', '.join(missing)}; `make bench` installs what is compared")
    results = Results(
        benchmark="jobs",
        title="Jobs on one Valkey",
        measures=MEASURES,
        systems=[entrant.system for entrant in entrants],
        baseline=BASELINE,
        parameters={
            "repeat": options.repeat,
            "passes": PASSES,
            "jobs": options.jobs,
            "latency_jobs": LATENCY_JOBS,
        },
        notes=NOTES,
    )
    with place.temporary() as here:
        results.versions["valkey"] = here.client.info("server")["valkey_version"]
        for number, entrant in schedule(entrants, options.repeat):
            tell(f"round {number} of {options.repeat}: {entrant.system.label}")
            _take_turn(entrant, here, options.jobs, results)
    return results


def _take_turn(entrant: Entrant, here: Place, jobs: int, results: Results) -> None:
    here.client.flushall()
    with running(entrant, here) as (worker, driver):
        results.versions |= driver.versions
        driver.ask("latency", WARM_UP_JOBS)
        samples = [_latency(driver)]
        for _ in range(PASSES):
            samples.append(_throughput(driver, worker, jobs))
            _check(entrant, "done", _done(here), jobs)
        _check_records(entrant, driver, WARM_UP_JOBS + LATENCY_JOBS + PASSES * jobs)
    _check(entrant, "done", _done(here), jobs)  # again: a job run twice may have been late
    for found in samples:
        results.add(entrant.system.key, {key: value for key, value in found.items() if _is_its_own(entrant, key)})


def _done(here: Place) -> int:
    return int(here.client.get(COUNTER) or 0)


def _is_its_own(entrant: Entrant, measure: str) -> bool:
    """Who submits over HTTP has the same worker as who submits from Python."""
    return measure != "run" or not entrant.is_over_http


@contextmanager
def running(entrant: Entrant, here: Place) -> Iterator[tuple[Program, Driver]]:
    with ExitStack() as stack:
        programs = [stack.enter_context(entrant.start_worker(here))]
        env = entrant.environment(here)
        if entrant.is_over_http:
            web, told = start_web(entrant, here)
            programs.append(stack.enter_context(web))
            env |= told
        driver = stack.enter_context(Driver(entrant.driver, here.log("driver"), env, programs))
        try:
            yield programs[0], driver
        except BaseException:
            for program in programs:  # a Celery worker under load may take half a minute to stop by itself
                program.kill_group()
            raise


def _latency(driver: Driver) -> dict[str, float]:
    took_ms = driver.ask("latency", LATENCY_JOBS)["ms"]
    return {"latency_p50": percentile(took_ms, 50), "latency_p99": percentile(took_ms, 99)}


def _throughput(driver: Driver, worker: Program, jobs: int) -> dict[str, float]:
    with frozen(worker):
        submitting_s = driver.ask("submit", jobs)["seconds"]
        driver.tell("finish", jobs)
        began = time.perf_counter()
    driver.hear()
    return {"submit": jobs / submitting_s, "run": jobs / (time.perf_counter() - began)}


def _check_records(entrant: Entrant, driver: Driver, jobs: int) -> None:
    recorded = driver.ask("recorded", jobs)["recorded"]
    if recorded is not None:
        _check(entrant, "on record as completed", recorded, jobs)


def _check(entrant: Entrant, what: str, seen: int, jobs: int) -> None:
    if seen != jobs:
        raise BenchmarkFailed(f"{entrant.system.label}: {jobs} jobs were submitted, {seen} are {what}")
