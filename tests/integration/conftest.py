"""A platform with a user's module, served by a real worker and a real gunicorn, one for each test module.

Every test has users of its own, so that tests of a module do not see each other's jobs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
import redis

from platform import embedded as server
from tests import processes, rabbitmq
from tests.conftest import SESSION_DIR, forget_what_was_set

SAMPLES = Path(__file__).resolve().parent.parent / "samples"


@dataclass
class Shop:
    """A running platform: its folder, settings and programs; state in an own embedded Valkey."""

    folder: Path
    settings: dict[str, object]
    programs: list[processes.Program] = field(default_factory=list)
    clients: list[httpx2.Client] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        return processes.environment(self.settings) | {"PYTHONPATH": str(self.folder)}

    @property
    def redis_url(self) -> str:
        return server.endpoint(self.folder / "d").url

    def start_worker(self, *args: str, concurrency: int = 2, **more: object) -> processes.Worker:
        number = len(self.programs)
        name = f"shop{number}-{os.getpid()}@%h"
        options = ["-n", name, "-l", "INFO", *processes.ALONE, f"--concurrency={concurrency}", *args]
        env = processes.environment(self.settings | more) | {"PYTHONPATH": str(self.folder)}
        worker = processes.Worker(options, self.folder / f"worker-{number}.log", env)
        self.programs.append(worker)
        worker.wait_until_ready()
        return worker

    def start_web(self, **more: object) -> processes.Web:
        port = processes.free_port()
        env = processes.environment(self.settings | {"http_port": port, "web_workers": 1} | more)
        log = self.folder / f"web-{len(self.programs)}.log"
        web = processes.Web([], log, env | {"PYTHONPATH": str(self.folder)}, port)
        self.programs.append(web)
        web.wait_until_ready()
        return web

    def celery(self, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return processes.celery(*args, env=self.env, stdin=stdin)

    def caller(self, web: processes.Web, role: str = "user", app_id: str | None = None) -> httpx2.Client:
        """A client that sends the API key of a new user with that role, of the settings' tenant if none is named."""
        email = f"{uuid.uuid4().hex}@example.com"
        with self.as_own_settings():
            from platform.accounts import add_key, add_user

            add_user(email, role, "correct horse", app_id)
            key = add_key(email)
        headers = {"Authorization": f"Bearer {key}"}
        client = httpx2.Client(base_url=web.url, headers=headers, timeout=40, trust_env=False)
        self.clients.append(client)
        return client

    def as_own_settings(self) -> _settings_of:
        return _settings_of(self.settings)

    def stop(self) -> None:
        for client in self.clients:
            client.close()
        processes.stop_all(self.programs)
        server.stop(self.folder / "d")


class _settings_of:
    """While it is entered, this process's settings are those of the shop, and so are the servers it talks to."""

    def __init__(self, values: dict[str, object]):
        self._patch = pytest.MonkeyPatch()
        self._values = values

    def __enter__(self) -> None:
        for name, value in self._values.items():
            self._patch.setenv(f"PLATFORM_{name.upper()}", str(value))
        forget_what_was_set()

    def __exit__(self, *_: object) -> None:
        self._patch.undo()
        forget_what_was_set()


@pytest.fixture(scope="module")
def module_of_tasks() -> str:
    """Which of ``tests/samples`` the platform of a test module imports; a test module may name another one."""
    return "shop"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, module_of_tasks: str) -> Iterator[Shop]:
    """A platform whose module of tasks lies outside the project; nothing of it runs yet."""
    folder = tmp_path_factory.mktemp("s")
    shutil.copy(SAMPLES / f"{module_of_tasks}.py", folder)
    values: dict[str, object] = {"data_dir": folder / "d", "imports": module_of_tasks, "cancel_grace_s": 1}
    if elsewhere := os.environ.get("TEST_BROKER_URL"):
        rabbitmq.clear(elsewhere)
    values |= rabbitmq.settings()
    running = Shop(folder, values)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def shop_worker(shop: Shop) -> processes.Worker:
    return shop.start_worker()


@pytest.fixture(scope="module")
def shop_web(shop: Shop) -> processes.Web:
    return shop.start_web()


@pytest.fixture
def new_caller(shop: Shop, shop_web: processes.Web) -> Callable[..., httpx2.Client]:
    """``new_caller("operator")``: a client that sends the key of a new user with that role."""

    def make(role: str = "user", app_id: str | None = None) -> httpx2.Client:
        return shop.caller(shop_web, role, app_id)

    return make


@pytest.fixture
def ann(new_caller: Callable[..., httpx2.Client]) -> httpx2.Client:
    """A plain user, new for each test."""
    return new_caller()


@pytest.fixture(scope="module")
def steady_worker(
    session_valkey: redis.Redis, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[processes.Worker]:
    """One worker for all tests of a module, on the servers of this process's own settings, with the module ``shop``.

    Not together with ``embedded``, which empties the server under it.
    """
    session_valkey.flushall()
    folder = tmp_path_factory.mktemp("w")
    shutil.copy(SAMPLES / "shop.py", folder)
    state = server.endpoint(pytestconfig.stash[SESSION_DIR]).url
    values: dict[str, object] = {"data_dir": folder, "redis_url": state, "broker_url": state, "imports": "shop"}
    if elsewhere := os.environ.get("TEST_BROKER_URL"):
        rabbitmq.clear(elsewhere)
        values["broker_url"] = elsewhere
    env = processes.environment(values | {"cancel_grace_s": 1}) | {"PYTHONPATH": str(folder)}
    options = ["-n", f"steady{os.getpid()}@%h", "-l", "INFO", "-c", "2", *processes.ALONE]
    with processes.Worker(options, folder / "worker.log", env) as worker:
        worker.wait_until_ready()
        yield worker
