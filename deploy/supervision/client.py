"""Talking to a running supervisord: XML-RPC over its unix socket."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.supervision.errors import NotRunning

TIMEOUT_S = 5.0
GUARD = "guard"  # supervised as well, but no service of the platform
# supervisor.xmlrpc.Faults
SHUTDOWN_STATE, ALREADY_STARTED, NOT_RUNNING = 6, 60, 70


# Nothing more happens in these states unless somebody starts the program.
ENDED = ("stopped", "exited", "fatal")


@dataclass(frozen=True)
class Info:
    """One program as supervisord sees it; ``state`` in its words, lower case."""

    name: str
    group: str
    state: str
    pid: int | None
    since: datetime | None

    @property
    def address(self) -> str:
        return f"{self.group}:{self.name}"

    @property
    def was_started(self) -> bool:
        return self.since is not None


class Client:
    """Requests to the supervisord behind ``path``. None of them waits for the program to get there."""

    def __init__(self, path: Path):
        self._server = xmlrpc.client.ServerProxy("http://supervisor", transport=_Transport(path))

    def answers(self) -> bool:
        try:
            self._ask("getPID")
        except NotRunning:
            return False
        return True

    def is_stopping(self) -> bool:
        """Whether it lives but has been told to end."""
        try:
            self._ask("getPID")
        except NotRunning as exc:
            return isinstance(exc.__cause__, xmlrpc.client.Fault)
        return False

    def infos(self) -> list[Info]:
        return [_info(found) for found in self._ask("getAllProcessInfo") if found["group"] != GUARD]

    def start(self, info: Info) -> None:
        self._ask("startProcess", info.address, False, ignore=ALREADY_STARTED)

    def stop(self, info: Info) -> None:
        self._ask("stopProcess", info.address, False, ignore=NOT_RUNNING)

    def signal(self, info: Info, name: str) -> None:
        self._ask("signalProcess", info.address, name, ignore=NOT_RUNNING)

    def shutdown(self) -> None:
        self._ask("shutdown")

    def _ask(self, method: str, *arguments: Any, ignore: int = 0) -> Any:
        try:
            return getattr(self._server.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == SHUTDOWN_STATE:
                raise NotRunning("the supervisor is shutting down") from fault
            if fault.faultCode != ignore:
                raise
        except (OSError, http.client.HTTPException) as exc:
            raise NotRunning(f"the supervisor does not answer: {exc}") from exc
        finally:
            self._server("close")()  # supervisord drops idle connections as it likes
        return None


def _info(found: dict[str, Any]) -> Info:
    stopped = found["statename"] in ("STOPPED", "EXITED", "FATAL", "BACKOFF")
    moment = found["stop"] if stopped and found["stop"] else found["start"]
    return Info(
        name=found["name"],
        group=found["group"],
        state=found["statename"].lower(),
        pid=found["pid"] or None,
        since=datetime.fromtimestamp(moment, UTC) if moment else None,
    )


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path):
        super().__init__("supervisor", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path):
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        self._connection = host, _Connection(self._path)
        return self._connection[1]
