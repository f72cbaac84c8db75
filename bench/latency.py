"""From asking for a patch of a document until whoever follows it has it, on one platform with all its parts.

A hundred documents have a follower each, on a socket of its own. Patches are due at even times, whatever became of
those before, so that a platform that falls behind shows it. Each round, for each way in which they are asked for, at
its rate: all patches, until every follower has had each of its own, once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench import place
from bench.driving import Driver
from bench.entrants import Entrant, start_web
from bench.listeners import socket_token
from bench.measures import Measure, Options, Results, System, Tell, percentile
from bench.place import Place
from tests.processes import Program, environment, script

SUMMARY = "patches of documents over HTTP until the sockets that follow have them"
BASELINE = "http"
DOCUMENTS = 100
#: For each second that patches go on.
JOBS_PER_S = 50
WARM_UP_S = 2


@dataclass(frozen=True)
class Way:
    """``act`` asks for ``rate_per_s`` patches, as ``bench.systems.patches`` has it."""

    system: System
    act: str
    rate_per_s: int


WAYS = (
    Way(System("http", "HTTP, 100/s", "PATCH on four open connections, with an API key", True), "over_http", 100),
    Way(System("python", "Python, 100/s", "tasks.pipeline.submit in one process", True), "from_python", 100),
    Way(
        System("http-1000", "HTTP, 1 000/s", "as over HTTP before, more than this machine takes: they wait", True),
        "over_http",
        1_000,
    ),
    Way(System("python-1000", "Python, 1 000/s", "as from Python before", True), "from_python", 1_000),
)
SYSTEMS = tuple(way.system.key for way in WAYS)

MEASURES = (
    Measure("p50", "Due until on the follower's socket, p50", "ms", more_is_better=False),
    Measure("p99", "Due until on the follower's socket, p99", "ms", more_is_better=False),
    Measure("rate", "Arriving", "patches/s", more_is_better=True),
)
NOTES = (
    f"SQLite, one Valkey, one worker of two processes for all stages, one web process; {DOCUMENTS} sockets follow a "
    "document each. All of it, with the program that asks and the one that follows, shares the machine.",
    "A patch is one operation. It counts from when it was due, not from when it could be sent.",
    "Patches asked for faster than they are taken are late by as much more as they go on, and none is lost.",
)


@dataclass(frozen=True)
class Rig:
    """Everything that runs; patches go on for so many seconds."""

    patches: Driver
    followers: Driver

    def go_on_for(self, seconds: int) -> None:
        self.patches.ask("last", seconds)

    def measured(self, way: Way, seconds: int) -> dict[str, float]:
        count = way.rate_per_s * seconds
        self.followers.ask("expect", count)
        self.patches.tell(way.act, way.rate_per_s)
        arrivals = self.followers.ask("arrivals", count)["at"]
        began = self.patches.hear()["began"]
        took_ms = [(at - began) / 1e6 - n / way.rate_per_s * 1e3 for n, at in arrivals]
        ended = max(at for _, at in arrivals)
        rate = count / ((ended - began) / 1e9)
        return {"p50": percentile(took_ms, 50), "p99": percentile(took_ms, 99), "rate": rate}


def measure(options: Options, tell: Tell) -> Results:
    """Raises BenchmarkFailed when a patch is refused, or does not come once."""
    ways = [way for way in WAYS if not options.systems or way.system.key in options.systems]
    seconds = max(1, options.jobs // JOBS_PER_S)
    results = Results(
        benchmark="latency",
        title="Patches on their way to sockets",
        measures=MEASURES,
        systems=[way.system for way in ways],
        baseline=BASELINE,
        parameters={"repeat": options.repeat, "seconds": seconds, "documents": DOCUMENTS},
        notes=NOTES,
    )
    with place.temporary() as here, _running(here) as rig:
        results.versions |= {"valkey": here.client.info("server")["valkey_version"]} | rig.patches.versions
        tell("warming up")
        rig.go_on_for(min(WARM_UP_S, seconds))
        for way in WAYS[:2]:
            rig.measured(way, min(WARM_UP_S, seconds))
        rig.go_on_for(seconds)
        for index in range(options.repeat):
            for way in ways:
                tell(f"round {index + 1} of {options.repeat}: {way.system.label}")
                results.add(way.system.key, rig.measured(way, seconds))
    return results


@contextmanager
def _running(here: Place) -> Iterator[Rig]:
    with ExitStack() as stack:
        entrant = _Deployment(WAYS[0].system, "bench.systems.patches", ())
        web, told = start_web(entrant, here)  # first: it brings the schema up to date
        stack.enter_context(web)
        stack.callback(web.kill_group)
        env = {**entrant.environment(here), **told}
        worker = stack.enter_context(_worker(here, env))
        stack.callback(worker.kill_group)
        watched = [web, worker]
        command = [sys.executable, "-m", entrant.module]
        patches = stack.enter_context(Driver(command, here.log("patches"), env, watched))
        documents = patches.ask("create", DOCUMENTS)["documents"]
        env |= {"BENCH_TOKEN": socket_token(web, told["BENCH_API_KEY"])}
        command = [sys.executable, "-m", "bench.systems.followers", str(web.port), *documents]
        yield Rig(patches, stack.enter_context(Driver(command, here.log("followers"), env, watched)))


@dataclass(frozen=True)
class _Deployment(Entrant):
    """As ``bench.jobs`` has it, without tasks of its own."""

    def environment(self, place: Place) -> dict[str, str]:
        return environment({"data_dir": place.folder}) | place.environment


def _worker(here: Place, env: dict[str, str]) -> Program:
    arguments = ["--concurrency", "2", "--loglevel", "WARNING"]
    return Program([script("celery"), "-A", "platform", "worker", *arguments], here.log("worker"), env, here.folder)
