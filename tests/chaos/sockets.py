"""The gunicorn that holds the sockets of a deployment, always on the same port, and how it is killed and restarted."""

from __future__ import annotations

import os
import random
import signal
import socket
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from tests.chaos.deployment import Deployment
from tests.chaos.killer import Killer
from tests.processes import Web
from tests.waiting import eventually

PROCESSES = 2
#: Below those the kernel gives to who connects: to one of these a client could connect itself while nobody listens.
PORTS = range(20_000, 30_000)
RELOAD_TIMEOUT_S = 60


class Sockets:
    """While it is entered it runs, beside the deployment's own front door."""

    def __init__(self, deployment: Deployment, **settings: object):
        self.port = _free_port()
        self._log = deployment.folder / "sockets.log"
        self._env = deployment.env(web_role="sockets", http_port=self.port, web_workers=PROCESSES, **settings)
        self._web = self._start()
        self.killed_processes = self.killed_servers = 0

    def kill_process(self, chance: random.Random) -> None:
        """SIGKILL to one of those that hold sockets; gunicorn starts another."""
        if victims := sorted(self._processes()):
            with suppress(ProcessLookupError):
                os.kill(chance.choice(victims), signal.SIGKILL)
                self.killed_processes += 1

    def kill_all(self) -> None:
        """SIGKILL to gunicorn and all its processes, and start it again; returns when it answers."""
        self._web.kill_group()
        self._web.stop()
        self.killed_servers += 1
        self._web = self._start()
        self._web.wait_until_ready()

    def reload(self) -> None:
        """As ``services update`` does it; returns when the old processes have ended."""
        before = self._processes()
        self._web.signal(signal.SIGHUP)
        eventually(lambda: len(self._processes() - before) >= PROCESSES, RELOAD_TIMEOUT_S)
        eventually(lambda: not self._processes() & before, RELOAD_TIMEOUT_S)

    def tail(self) -> str:
        return self._web.tail()

    def _start(self) -> Web:
        return Web([], self._log, self._env, self.port)

    def _processes(self) -> set[int]:
        pid = self._web.pid
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    def __enter__(self) -> Sockets:
        self._web.wait_until_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._web.stop()


class SocketKiller(Killer):
    """The same for those who hold sockets: first one process, then all at once, then one time in four all."""

    def __init__(self, deployment: Deployment, sockets: Sockets, seed: int, shortest_s: float, longest_s: float):
        super().__init__(deployment, seed, shortest_s, longest_s)
        self._sockets = sockets

    def _kill(self) -> None:
        sockets = self._sockets
        if sockets.killed_processes and (not sockets.killed_servers or self._chance.random() < 1 / 4):
            sockets.kill_all()
        else:
            sockets.kill_process(self._chance)


def _free_port() -> int:
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port is free")
