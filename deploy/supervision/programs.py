"""The programs that make up the platform on one machine: how each is run, stopped and reached."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from deploy.supervision.errors import UnknownService
from platform import embedded, endpoints
from platform.errors import did_you_mean
from platform.settings import Settings

GUNICORN_CONFIGURATION = Path(__file__).resolve().parent.parent.parent / "web" / "gunicorn.conf.py"
# Groups with the order in which they are started; they are stopped in the opposite one.
STORE, WORK, FRONT = "store", "work", "front"
GROUPS = {STORE: 10, WORK: 20, FRONT: 30}
ANY_ADDRESS = {"": "localhost", "0.0.0.0": "localhost", "::": "localhost"}  # noqa: S104 - recognised, never bound


@dataclass(frozen=True)
class Program:
    """One supervised program.

    ``settle_s``: how long it must live to count as running. ``stop_s``: how long it may take to stop before
    it is killed with everything in its process group. ``url``: where it answers, without secrets.
    """

    name: str
    group: str
    command: tuple[str, ...]
    settle_s: int = 2
    stop_s: int = 10
    url: str | None = None


def programs(settings: Settings) -> list[Program]:
    """Everything that runs under these settings, in the order in which it is started."""
    store = [_valkey(settings)] if endpoints.uses_embedded(settings) else []
    workers = [_worker(settings, number) for number in range(1, settings.workers + 1)]
    return [*store, *workers, _beat(settings), _web(settings), _flower(settings)]


def pick(name: str, names: Iterable[str]) -> list[str]:
    """The programs a user means: one by its name, or ``worker`` for all workers.

    Raises UnknownService with the nearest name.
    """
    names = list(names)
    chosen = [known for known in names if name in (known, re.sub(r"\d+$", "", known))]
    if not chosen:
        guess = did_you_mean(name, names) or f"; there are {', '.join(names)}"
        raise UnknownService(f"no service is called {name!r}{guess}")
    return chosen


def url(host: str, port: int) -> str:
    """An HTTP address that can be opened on this machine."""
    shown = ANY_ADDRESS.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def _celery(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "celery", "-A", "platform", *arguments)


def _valkey(settings: Settings) -> Program:
    command = (sys.executable, "-m", "deploy.supervision.valkey", str(settings.data_dir))
    address = f"redis://127.0.0.1:{embedded.endpoint(settings.data_dir).port}/0"
    return Program("valkey", STORE, command, settle_s=1, stop_s=20, url=address)


def _worker(settings: Settings, number: int) -> Program:
    concurrency = [f"--concurrency={settings.worker_concurrency}"] if settings.worker_concurrency else []
    command = _celery("worker", "-n", f"worker{number}@%h", "-l", settings.log_level, *concurrency)
    # What has not ended by the shutdown timeout is given back, which takes a moment more.
    return Program(f"worker{number}", WORK, command, stop_s=int(settings.shutdown_timeout_s) + 15)


def _beat(settings: Settings) -> Program:
    # No pidfile: after a SIGKILL it would stay, and beat would refuse to start.
    return Program("beat", FRONT, _celery("beat", "--pidfile=", "-l", settings.log_level))


def _web(settings: Settings) -> Program:
    command = (sys.executable, "-m", "gunicorn", "-c", str(GUNICORN_CONFIGURATION), "web.wsgi:app")
    # gunicorn gives its workers graceful_timeout, 30 s, to finish requests and to send sockets away.
    return Program("web", FRONT, command, stop_s=35, url=url(settings.http_host, settings.http_port))


def _flower(settings: Settings) -> Program:
    return Program("flower", FRONT, _celery("flower"), url=url(settings.http_host, settings.flower_port))
