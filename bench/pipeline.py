"""Changes of documents from being asked for to being in their stream: how many a second, how late, and at what cost.

Three workers, of two processes each, serve a stage each: ``write``, ``route`` and ``deliver``. Each round:

1. the workers are frozen (SIGSTOP) while one process asks for all changes, new documents and then patches of them;
2. they go on (SIGCONT) until the last one is in the stream and each job on record as completed;
3. creates over HTTP: one at a time, then 100 a second, then as many as four connections can bring.

A change is in the stream when Valkey has appended it; the stream's offset is that microsecond.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import place
from bench.driving import Driver, frozen
from bench.entrants import Entrant, start_web
from bench.measures import BenchmarkFailed, Measure, Options, Results, System, Tell, percentile
from bench.place import Place
from bench.systems.stopwatch import RECORDS_S
from platform.queues import FANOUT, ROUTE, WRITE
from platform.stages.counters import SEPARATOR
from tests.processes import Program, environment, script

SUMMARY = "changes of documents through write, route and deliver; how late over HTTP"
BASELINE = "create"
STAGES = {"write": WRITE, "route": ROUTE, "deliver": FANOUT}
#: So many changes beforehand, over HTTP at 100 a second, and over HTTP as many as can be, for each of ``--jobs``.
CHANGES_PER_JOB, OFFERED_PER_JOB, FLOOD_PER_JOB = 6, 1, 1
WARM_UP_PARTS = 5
IDLE = 100

SYSTEM_LIST = (
    System("create", "new documents", "asked for from Python while the workers are stopped", is_ours=True),
    System("patch", "patches", "of two operations, of those documents", is_ours=True),
    System("http", "over HTTP", "POST /model/task on open connections, with an API key; one web process", is_ours=True),
)
SYSTEMS = tuple(system.key for system in SYSTEM_LIST)

MEASURES = (
    Measure("rate", "Through all three stages", "changes/s", more_is_better=True),
    Measure("idle_p50", "Sent until in the stream when idle, p50", "ms", more_is_better=False),
    Measure("offered_p50", "Sent until in the stream at 100/s, p50", "ms", more_is_better=False),
    Measure("offered_p99", "Sent until in the stream at 100/s, p99", "ms", more_is_better=False),
    Measure("cpu", "CPU of all workers and Valkey", "µs/change", more_is_better=False),
    Measure("cpu_write", "CPU of the worker that writes", "µs/change", more_is_better=False),
    Measure("cpu_route", "CPU of the worker that routes", "µs/change", more_is_better=False),
    Measure("cpu_deliver", "CPU of the worker that delivers", "µs/change", more_is_better=False),
    Measure("cpu_valkey", "CPU of Valkey", "µs/change", more_is_better=False),
    Measure("in_write", "Time in the store", "µs/change", more_is_better=False),
    Measure("in_route", "Time in routing", "µs/change", more_is_better=False),
    Measure("in_deliver", "Time in delivery", "µs/change", more_is_better=False),
    Measure("in_records", "Time in job records and publishing", "µs/change", more_is_better=False),
)
NOTES = (
    "SQLite, one Valkey, three workers of two processes each; a document has 300 bytes of its own, and ten groups with "
    "distinct filters on each of two socket processes follow all of them.",
    "The rate: from letting the workers go until the last change is in the stream. Over HTTP: from the first request "
    "on, on four connections that share the two cores with everything else.",
    "Latency: from sending the request (when it was due, at 100 a second) until the change is in the stream.",
    "Time in a stage is the clock's, of its process: waiting for Valkey and for a turn on the machine is in it.",
)


@dataclass(frozen=True)
class Rig:
    """Everything that runs."""

    here: Place
    workers: Mapping[str, Program]
    driver: Driver

    def spent(self) -> dict[str, float]:
        """Seconds since the start by measure."""
        counted = _numbers(self.here.client.hgetall(self._counters))
        info = self.here.client.info("cpu")
        return {
            **{f"cpu_{name}": cpu_s(worker.pid) for name, worker in self.workers.items()},
            "cpu_valkey": info["used_cpu_user"] + info["used_cpu_sys"],
            **{f"in_{name}": counted.get(f"{name}{SEPARATOR}sum", 0.0) for name in STAGES},
            "in_records": sum(_numbers(self.here.client.hgetall(RECORDS_S)).values()),
        }

    @property
    def _counters(self) -> str:
        found: Any = self.here.client.keys("*metrics:stages")
        return found[0].decode() if found else "none"


def measure(options: Options, tell: Tell) -> Results:
    """Raises BenchmarkFailed when a change is lost, fails or is a gap in its stream."""
    systems = [system for system in SYSTEM_LIST if not options.systems or system.key in options.systems]
    results = Results(
        benchmark="pipeline",
        title="Changes of documents through the pipeline",
        measures=MEASURES,
        systems=systems,
        baseline=BASELINE,
        parameters={
            "repeat": options.repeat,
            "changes": CHANGES_PER_JOB * options.jobs,
            "idle": IDLE,
            "offered": OFFERED_PER_JOB * options.jobs,
            "flood": FLOOD_PER_JOB * options.jobs,
        },
        notes=NOTES,
    )
    with place.temporary() as here, _running(here) as rig:
        results.versions |= {"valkey": here.client.info("server")["valkey_version"]} | rig.driver.versions
        tell("warming up")
        _round(rig, {system.key for system in SYSTEM_LIST}, max(1, options.jobs // WARM_UP_PARTS))
        for index in range(options.repeat):
            tell(f"round {index + 1} of {options.repeat}")
            for key, found in _round(rig, {system.key for system in systems}, options.jobs).items():
                results.add(key, found)
    return results


def _round(rig: Rig, wanted: set[str], jobs: int) -> dict[str, dict[str, float]]:
    found = {}
    if wanted & {"create", "patch"}:
        found["create"] = _drained(rig, "create", CHANGES_PER_JOB * jobs)
    if "patch" in wanted:
        found["patch"] = _drained(rig, "patch", CHANGES_PER_JOB * jobs)
    if "http" in wanted:
        found["http"] = _over_http(rig, jobs)
    return {key: measured for key, measured in found.items() if key in wanted}


def _drained(rig: Rig, act: str, changes: int) -> dict[str, float]:
    """Rate and costs of changes that were asked for while the workers were stopped."""
    before = rig.spent()
    with ExitStack() as stack:
        for worker in rig.workers.values():
            stack.enter_context(frozen(worker))
        rig.driver.ask(act, changes)
        before["cpu_valkey"] = rig.spent()["cpu_valkey"]
        began = time.time()
    answer = rig.driver.ask("finish", changes)
    _check(answer)
    after = rig.spent()
    costs = {name: (after[name] - before[name]) / changes * 1e6 for name in after}
    cpu = sum(cost for name, cost in costs.items() if name.startswith("cpu_"))
    return {"rate": changes / (answer["at"] - began), "cpu": cpu} | costs


def _over_http(rig: Rig, jobs: int) -> dict[str, float]:
    idle = rig.driver.ask("idle", IDLE)["ms"]
    offered = rig.driver.ask("offered", OFFERED_PER_JOB * jobs)["ms"]
    flood = FLOOD_PER_JOB * jobs
    rate = flood / rig.driver.ask("flood", flood)["seconds"]
    _check(rig.driver.ask("finish", 0))
    return {
        "rate": rate,
        "idle_p50": percentile(idle, 50),
        "offered_p50": percentile(offered, 50),
        "offered_p99": percentile(offered, 99),
    }


def _check(answer: Mapping[str, Any]) -> None:
    if answer["failed"] or answer["resyncs"]:
        raise BenchmarkFailed(f"{answer['failed']} jobs failed, {answer['resyncs']} gaps were given up")


@contextmanager
def _running(here: Place) -> Iterator[Rig]:
    with ExitStack() as stack:
        entrant = _Deployment(SYSTEM_LIST[-1], "bench.systems.changes", ())
        env = entrant.environment(here)
        web, told = start_web(entrant, here)  # first: it brings the schema up to date
        stack.enter_context(web)
        workers = {name: stack.enter_context(_worker(here, env, name)) for name in STAGES}
        command = [sys.executable, "-m", entrant.module]
        driver = stack.enter_context(Driver(command, here.log("driver"), {**env, **told}, [web, *workers.values()]))
        try:
            yield Rig(here, workers, driver)
        finally:
            for program in (*workers.values(), web):
                program.kill_group()


@dataclass(frozen=True)
class _Deployment(Entrant):
    """As ``bench.jobs`` has it, with the stopwatch in its processes."""

    def environment(self, place: Place) -> dict[str, str]:
        ours = {"data_dir": place.folder, "imports": "bench.systems.stopwatch"}
        return environment(ours) | place.environment


def _worker(here: Place, env: Mapping[str, str], name: str) -> Program:
    arguments = ["--queues", STAGES[name], "--concurrency", "2", "--loglevel", "WARNING", "--hostname", f"{name}@%h"]
    return Program([script("celery"), "-A", "platform", "worker", *arguments], here.log(name), env, here.folder)


def cpu_s(group: int) -> float:
    """CPU seconds of the living processes of a group; 0 where the system has no /proc."""
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            facts = file.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(facts[2]) == group:
            ticks += int(facts[11]) + int(facts[12])
    return ticks / 100


def _numbers(found: Any) -> dict[str, float]:
    return {name.decode(): float(number) for name, number in found.items()}
