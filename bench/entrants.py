"""The systems that carry jobs, and how the processes of each are started."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from bench import node
from bench.measures import BenchmarkFailed, System
from bench.place import Place
from tests.processes import Program, Web, environment, free_port, run, script

Turner = TypeVar("Turner")

PEERS = Path(__file__).parent / ".venv" / "bin"
PLATFORM_MODULE = "bench.systems.platform_tasks"
USER = "bench@example.com"
#: Of every system, the same number.
WORKER_PROCESSES = 2


@dataclass(frozen=True)
class Entrant:
    """A system, the module its driver imports, and the command of its worker, whose first word is a script of its
    environment."""

    system: System
    module: str
    command: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()

    @property
    def is_over_http(self) -> bool:
        return self.module == "bench.systems.platform_http"

    @property
    def is_nodes(self) -> bool:
        return self.command[:1] == ("node",)

    @property
    def python(self) -> str:
        return sys.executable if self.system.is_ours else str(PEERS / "python")

    @property
    def driver(self) -> list[str]:
        """The command of the process that submits."""
        if self.is_nodes:
            return [*self.command[:2], "driver"]
        return [self.python, "-m", "bench.systems.driver", self.module]

    def is_installed(self) -> bool:
        return node.is_there() if self.is_nodes else Path(self.python).exists()

    def environment(self, place: Place) -> dict[str, str]:
        """Of every process of the entrant; none of the caller's PLATFORM_*, CELERY_* and PYTHON* is in it."""
        ours = {"data_dir": place.folder, "imports": PLATFORM_MODULE, "worker_concurrency": WORKER_PROCESSES}
        return environment(ours if self.system.is_ours else {}) | place.environment | dict(self.env)

    def start_worker(self, place: Place) -> Program:
        name, *arguments = self.command
        path = script(name) if self.system.is_ours else name if self.is_nodes else str(PEERS / name)
        return Program([path, *arguments], place.log(self.system.key), self.environment(place), place.folder)


def schedule(entrants: Sequence[Turner], repeat: int) -> Iterator[tuple[int, Turner]]:
    """Each one's turns, with the number of its round; in every round another one begins."""
    for index in range(repeat):
        shift = index % len(entrants)
        for entrant in (*entrants[shift:], *entrants[:shift]):
            yield index + 1, entrant


def start_web(entrant: Entrant, place: Place) -> tuple[Web, Mapping[str, str]]:
    """The front door with one process, ready, and what its driver needs to know of it. Raises BenchmarkFailed."""
    port = free_port()
    env = entrant.environment(place)
    web = Web([], place.log("web"), env | {"PLATFORM_HTTP_PORT": str(port), "PLATFORM_WEB_WORKERS": "1"}, port)
    try:
        web.wait_until_ready()
        return web, {"BENCH_HTTP_PORT": str(port), "BENCH_API_KEY": _api_key(entrant, place)}
    except BaseException as exc:
        web.stop()
        if isinstance(exc, AssertionError):
            raise BenchmarkFailed(str(exc)) from exc
        raise


@cache
def _api_key(entrant: Entrant, place: Place) -> str:
    """Of a user made for this run; the accounts outlive a turn."""
    env = entrant.environment(place)
    _platform("users", "add", USER, "--role", "user", "--password-stdin", env=env, stdin=secrets.token_urlsafe())
    return _platform("keys", "add", USER, "--quiet", env=env)


def _platform(*arguments: str, env: Mapping[str, str], stdin: str = "") -> str:
    done = run(script("celery"), "-A", "platform", *arguments, env=env, stdin=stdin)
    if done.returncode:
        raise BenchmarkFailed(f"celery -A platform {' '.join(arguments)} failed: {done.stderr}")
    return done.stdout.strip()


def _celery(app: str) -> tuple[str, ...]:
    return ("celery", "-A", app, "worker", "--concurrency", str(WORKER_PROCESSES), "--loglevel", "WARNING")


_TWO = str(WORKER_PROCESSES)

ENTRANTS = (
    Entrant(
        System(
            "platform",
            "this platform",
            "each job on record with its result for a day, its start too; acknowledged when done",
            is_ours=True,
        ),
        PLATFORM_MODULE,
        _celery("platform"),
    ),
    Entrant(
        System(
            "platform-http",
            "this platform, HTTP",
            "POST /jobs on one open connection, with an API key; one web process",
            is_ours=True,
        ),
        "bench.systems.platform_http",
        _celery("platform"),
    ),
    Entrant(
        System("celery", "Celery", "Redis result backend; a job whose process dies is lost"),
        "bench.systems.celery_tasks",
        _celery("bench.systems.celery_tasks"),
    ),
    Entrant(
        System("celery-ignore", "Celery, no results", "task_ignore_result; a job whose process dies is lost"),
        "bench.systems.celery_tasks",
        _celery("bench.systems.celery_tasks"),
        (("BENCH_IGNORE_RESULT", "1"),),
    ),
    Entrant(
        System("dramatiq", "Dramatiq", "nothing kept of a job that is done; 8 threads in each process"),
        "bench.systems.dramatiq_tasks",
        ("dramatiq", "bench.systems.dramatiq_tasks", "--processes", _TWO, "--skip-logging"),
    ),
    Entrant(
        System(
            "rq",
            "RQ",
            "a job and its result kept for 500 s; SimpleWorker: the default one starts a process for each job, "
            "which is several times slower",
        ),
        "bench.systems.rq_tasks",
        ("rq", "worker-pool", "default", "--num-workers", _TWO, "--quiet", "--worker-class", "rq.worker.SimpleWorker"),
    ),
    Entrant(
        System("huey", "Huey", "nothing kept of a job that is done; a job whose process dies is lost"),
        "bench.systems.huey_tasks",
        ("huey_consumer", "bench.systems.huey_tasks.huey", "--worker-type", "process", "--workers", _TWO, "--quiet"),
    ),
)
