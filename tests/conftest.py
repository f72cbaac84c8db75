"""Fixtures: settings of one test, the real servers, and real workers and web processes.

State (job records, streams) is always in an own Valkey of this session. The broker is the same server, or
the one named by ``TEST_BROKER_URL`` (``amqp://guest:guest@127.0.0.1:5672//``): the suite is run a second time
so, and parts of it a third time with ``TEST_QUEUE_TYPE=quorum`` beside it. Sessions that run at the same time
need a virtual host each: ``{worker}`` in the address stands for the process that runs a test, ``gw0`` or ``gw1``.

This process's own settings name the same servers, so ``from tasks import app`` inside a test sends to the
workers that the ``worker`` fixture starts.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import pytest
import redis

from platform import embedded as server
from platform.settings import settings
from tests import processes, rabbitmq

SESSION_DIR = pytest.StashKey[Path]()
BROKERLESS = {"unit", "standin", "packaging", "deploy", "supervision", "chaos"}
#: Below ``integration``: what asks only the record store, the database or the front door, whatever the broker is.
BROKER_AGNOSTIC = {
    *(
        "jobs",
        "leases",
        "streams",
        "routing",
        "sockets",
        "test_openapi.py",
        "test_docs_page.py",
        "test_sessions.py",
        "test_idempotency.py",
    ),
    *("test_client.py", "test_http_deadletters.py", "test_http_bad_input.py"),
    *("test_revocations.py", "test_waiting.py", "test_tokens_of_keys.py", "test_http_models.py"),
    *("test_valkey.py", "test_locks.py", "test_register.py", "test_election.py"),
}
OURS = {"platform", "tasks", "web", "deploy"}
#: Marks whose tests run one after the other.
ALONE = {"supervision", "scale", "chaos"}
PROGRAMS = pytest.StashKey[list[processes.Program]]()
#: In TEST_BROKER_URL: the process that runs a test.
WORKER = "{worker}"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Here, not in the folder it is for: an option must be known before that is collected."""
    parser.addoption(
        "--chaos-scale",
        type=float,
        default=float(os.environ.get("CHAOS_SCALE") or 1),
        metavar="N",
        help="make the scenarios of tests/chaos N times as large (CHAOS_SCALE)",
    )


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes a core, because most tests wait for programs they started; none where one run needs it all.

    Those are the runs that measure or kill for minutes, and those on a named broker, which they would share.
    """
    if config.option.markexpr in ALONE:
        return 0
    if broker := os.environ.get("TEST_BROKER_URL"):
        return (os.cpu_count() or 1) if WORKER in broker else 0
    return 2 * (os.cpu_count() or 1)


def pytest_configure(config: pytest.Config) -> None:
    """Before any test module is imported: nothing of the caller's settings, nothing written into the checkout."""
    # A shell that starts the suite in the background has it ignore Ctrl-C, and every program under test with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="pt-"))
    config.stash[SESSION_DIR] = folder
    for name in [n for n in os.environ if n.startswith("PLATFORM_")]:
        del os.environ[name]
    os.environ["PLATFORM_DATA_DIR"] = str(folder)
    if WORKER in os.environ.get("TEST_BROKER_URL", "") and hasattr(config, "workerinput"):
        os.environ["TEST_BROKER_URL"] = os.environ["TEST_BROKER_URL"].replace(WORKER, config.workerinput["workerid"])
    for name, value in rabbitmq.settings().items():
        os.environ[f"PLATFORM_{name.upper()}"] = value


def pytest_unconfigure(config: pytest.Config) -> None:
    if folder := config.stash.get(SESSION_DIR, None):
        server.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever may talk to a broker is marked, to be run on each."""
    here = Path(__file__).parent
    for item in items:
        parts = item.path.relative_to(here).parts
        if parts[0] not in BROKERLESS and not (parts[0] == "integration" and BROKER_AGNOSTIC.intersection(parts)):
            item.add_marker("broker")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failing test's report carries the end of every log of the programs it started."""
    report = yield
    if report.failed:
        for program in item.stash.get(PROGRAMS, []):
            report.sections.append((f"end of {program.log.name}", program.tail()))
    return report


def forget_what_was_set() -> None:
    """Clients of servers that are gone, and all else this process keeps of settings that it had."""
    for name, module in list(sys.modules.items()):
        if module is not None and name.partition(".")[0] in OURS:
            for kept in list(vars(module).values()):
                if type(kept) is type(settings):
                    kept.cache_clear()


@pytest.fixture
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with a short path: a unix socket's path has at most 107 bytes."""
    return tmp_path_factory.mktemp("d")


@pytest.fixture
def settings_env(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """This process's settings are ``DATA_DIR`` alone; call it to set more: ``settings_env(http_port=8001)``."""
    for name in [n for n in os.environ if n.startswith("PLATFORM_")]:
        monkeypatch.delenv(name)

    def set_more(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"PLATFORM_{name.upper()}", str(value))
        settings.cache_clear()

    set_more(data_dir=data_dir)
    yield set_more
    forget_what_was_set()


@pytest.fixture(scope="session")
def session_valkey(pytestconfig: pytest.Config) -> Iterator[redis.Redis]:
    """The session's own Valkey, started by the platform's own code; most tests want ``embedded``."""
    folder = pytestconfig.stash[SESSION_DIR]
    place = server.ensure_running(folder)
    with redis.Redis.from_url(place.url) as client, client.pubsub() as kept_open:
        # One connection that stays: without a client the server would end by itself after a minute.
        kept_open.subscribe("kept-open")
        yield client


@pytest.fixture(scope="session", autouse=True)
def session_app() -> None:
    """The app reads its settings once: those of the session, whichever test is the first to need it."""
    from tasks import app

    assert app.conf.broker_url


@pytest.fixture
def embedded(session_valkey: redis.Redis) -> redis.Redis:
    """A client of the session's Valkey, empty."""
    session_valkey.flushall()
    return session_valkey


@pytest.fixture
def redis_url(embedded: redis.Redis, pytestconfig: pytest.Config) -> str:
    """Where the state is kept; empty at the start of the test."""
    return server.endpoint(pytestconfig.stash[SESSION_DIR]).url


@pytest.fixture
def broker_url(redis_url: str) -> str:
    """The broker of this run, with nothing left in it by an earlier test."""
    elsewhere = os.environ.get("TEST_BROKER_URL")
    if not elsewhere:
        return redis_url
    rabbitmq.clear(elsewhere)
    return elsewhere


@pytest.fixture
def platform_settings(broker_url: str, redis_url: str, data_dir: Path) -> dict[str, object]:
    """Settings of the programs a test starts; change the dict before starting them."""
    return {"data_dir": data_dir, "broker_url": broker_url, "redis_url": redis_url} | rabbitmq.settings()


@pytest.fixture
def programs(request: pytest.FixtureRequest) -> Iterator[list[processes.Program]]:
    """Programs to stop after the test; their logs are shown if it fails."""
    started: list[processes.Program] = []
    request.node.stash[PROGRAMS] = started
    yield started
    processes.stop_all(started)


@pytest.fixture
def worker(
    platform_settings: dict[str, object], programs: list[processes.Program], data_dir: Path
) -> Callable[..., processes.Worker]:
    """Start a real worker and wait until it is ready.

    ``worker("-Q", "batch", imports="shop", folder=path, concurrency=2, health_port=8001)``: positional arguments
    go to ``celery worker``; ``imports`` names modules of tasks found in ``folder``; ``env`` is added to the
    environment as it is; every other keyword is a setting. Stopped after the test.
    """

    def start(
        *args: str,
        concurrency: int = 1,
        folder: Path | None = None,
        env: dict[str, str] | None = None,
        ready: bool = True,
        **more_settings: object,
    ) -> processes.Worker:
        number = len(programs) + 1
        name = ["-n", f"test{number}-{os.getpid()}@%h"]
        defaults = [
            *([] if "-n" in args else name),
            *processes.ALONE,
            "--loglevel=INFO",
            f"--concurrency={concurrency}",
        ]
        full_env = processes.environment(platform_settings | more_settings) | (env or {})
        if folder is not None:
            full_env["PYTHONPATH"] = str(folder)
        started = processes.Worker([*defaults, *args], data_dir / f"worker-{number}.log", full_env)
        programs.append(started)
        if ready:
            started.wait_until_ready()
        return started

    return start


@pytest.fixture
def web(
    platform_settings: dict[str, object], programs: list[processes.Program], data_dir: Path
) -> Callable[..., processes.Web]:
    """Start a real gunicorn on a free port and wait until ``GET /health`` answers 200.

    ``web(web_role="http", cors_origins="https://a.example")``: positional arguments go to gunicorn, keywords
    are settings, ``env`` is added as it is. ``web().http.get("/jobs")`` asks it. Stopped after the test.
    """

    def start(
        *args: str, env: dict[str, str] | None = None, folder: Path | None = None, **more_settings: object
    ) -> processes.Web:
        number = len(programs) + 1
        port = processes.free_port()
        chosen = {"http_port": port, "web_workers": 1} | platform_settings | more_settings
        full_env = processes.environment(chosen) | (env or {})
        if folder is not None:
            full_env["PYTHONPATH"] = str(folder)
        started = processes.Web(args, data_dir / f"web-{number}.log", full_env, port)
        programs.append(started)
        started.wait_until_ready()
        return started

    return start


@pytest.fixture
def celery(platform_settings: dict[str, object]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``celery -A platform …`` to its end: ``celery("users", "ls", "--json", stdin="…", http_port=8001)``."""

    def run(*args: str, stdin: str = "", **more_settings: object) -> subprocess.CompletedProcess[str]:
        env = processes.environment(platform_settings | more_settings)
        return processes.celery(*args, env=env, stdin=stdin)

    return run


@pytest.fixture
def python(platform_settings: dict[str, object]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run this virtual environment's Python with the test's settings: ``python("-m", "shop", "--once")``."""

    def run(*args: str, folder: Path | None = None, **more_settings: object) -> subprocess.CompletedProcess[str]:
        env = processes.environment(platform_settings | more_settings)
        paths: Sequence[str] = [str(folder)] if folder else []
        return processes.run(sys.executable, *args, env=env | {"PYTHONPATH": os.pathsep.join(paths)})

    return run
