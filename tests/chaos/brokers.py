"""Private servers that may be killed and started again: a Valkey, a RabbitMQ node. Both keep their data."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Protocol

from platform import embedded
from tests.processes import ROOT, Program, environment, free_port
from tests.waiting import eventually

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
VIRTUAL_HOSTS = 12


class Server(Protocol):
    """A broker at ``url``, on the same port for its whole life."""

    url: str
    name: str

    def start(self) -> None:
        """Start it and wait until it answers."""

    def kill(self) -> None:
        """SIGKILL; it is gone on return."""

    def stop(self) -> None:
        """Tell it to end, its data saved."""


class Valkey:
    """The platform's embedded server as its supervisor runs it: append-only, synced every second."""

    name = "Valkey"

    def __init__(self, folder: Path):
        self.folder = folder
        self.url = embedded.endpoint(folder).url
        self._program: Program | None = None

    def start(self) -> None:
        serve = "import tasks, platform.embedded as e; e.main()"
        command = [sys.executable, "-c", serve, str(self.folder)]
        self._program = Program(command, self.folder / "server.log", environment(), cwd=ROOT)
        eventually(lambda: embedded.is_running(self.folder), 30)
        assert embedded.endpoint(self.folder).url == self.url

    def kill(self) -> None:
        if self._program:
            self._program.kill()

    def stop(self) -> None:
        if self._program:
            self._program.stop()


class RabbitMQ:
    """A node of its own: own name server, own data, own cookie, and empty virtual hosts to be taken one by one."""

    name = "RabbitMQ"

    def __init__(self, folder: Path):
        self.folder = folder
        self.port, self._epmd_port = free_port(), free_port()
        self._programs: list[Program] = []
        self._hosts = count()

    @staticmethod
    def is_installed() -> bool:
        return RABBITMQ.exists() and shutil.which("epmd") is not None

    def virtual_host(self) -> VirtualHost:
        """One that nobody has used yet: nothing of other deployments on the node is in it."""
        number = next(self._hosts)
        assert number < VIRTUAL_HOSTS, f"only {VIRTUAL_HOSTS} were made when the node was started"
        return VirtualHost(self, f"amqp://guest:guest@127.0.0.1:{self.port}/v{number}")

    def start(self) -> None:
        """Nothing if it runs."""
        if self._programs and all(program.is_alive for program in self._programs):
            return
        self.stop()
        _write_configuration(self.folder)
        # In the foreground and first: one that the node starts would stay behind.
        names = ["epmd", "-address", "127.0.0.1", "-port", str(self._epmd_port)]
        epmd = Program(names, self.folder / "epmd.log", self._env())
        self._programs = [epmd]
        eventually(lambda: _listens(self._epmd_port), 10)
        self._programs.append(Program([str(RABBITMQ)], self.folder / "server.log", self._env()))
        eventually(lambda: _listens(self.port) or not self._programs[-1].is_alive, 60)
        assert self._programs[-1].is_alive, self._programs[-1].tail()

    def kill(self) -> None:
        for program in reversed(self._programs):
            program.kill_group()

    def stop(self) -> None:
        for program in reversed(self._programs):
            program.stop(30)

    def _env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))}
        return kept | {
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"chaos-{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }


@dataclass(frozen=True)
class VirtualHost:
    """A deployment's place on a node; killing it kills the whole node."""

    node: RabbitMQ
    url: str
    name = RabbitMQ.name

    def start(self) -> None:
        self.node.start()

    def kill(self) -> None:
        self.node.kill()

    def stop(self) -> None:
        self.node.stop()


def _write_configuration(folder: Path) -> None:
    """Virtual hosts made when the node starts; each call of ``rabbitmqctl`` would take seconds."""
    hosts = ["/", *(f"v{number}" for number in range(VIRTUAL_HOSTS))]
    anything = {"configure": ".*", "write": ".*", "read": ".*"}
    definitions = {
        "users": [{"name": "guest", "password_hash": _password_hash("guest"), "tags": "administrator"}],
        "vhosts": [{"name": host} for host in hosts],
        "permissions": [{"user": "guest", "vhost": host, **anything} for host in hosts],
    }
    (folder / "definitions.json").write_text(json.dumps(definitions))
    (folder / "rabbitmq.conf").write_text(f"load_definitions = {folder / 'definitions.json'}\n")


def _password_hash(password: str) -> str:
    """As RabbitMQ keeps it: a salt of four bytes, then SHA-256 of the salt and the password."""
    salt = b"salt"
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
        return True
    return False
