"""Console scripts run in forks of a process that has imported what Celery imports: it takes a second each time.

A suite runs commands and workers by the thousand, and most of its time went into that second. The process holds
libraries alone, none of which reads the environment, and nothing of this project: a fork is what the script would be
after its first imports. What is about starting itself runs the scripts as they are (``processes.run``).

``Forked`` is the client. As a program, ``python -P forking.py PATH`` serves on that Unix socket until standard input
ends; a request is JSON with the descriptors of standard input, output and error, answered by a line with the pid, and
another with the exit code.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NoReturn

LIBRARIES = (
    *("celery.apps.beat", "celery.apps.worker", "celery.bin.amqp", "celery.bin.beat", "celery.bin.control"),
    *("celery.bin.events", "celery.bin.list", "celery.bin.purge", "celery.bin.shell", "celery.bin.worker"),
    *("celery.concurrency.prefork", "celery.contrib.migrate", "celery.worker.consumer", "click_repl"),
    *("kombu.transport.pyamqp", "kombu.transport.redis", "msgspec", "pydantic", "redis.asyncio"),
    *("rich.console", "rich.table", "sqlalchemy.orm", "tornado.auth", "tornado.web", "yaml"),
)
REQUEST_BYTES = 1 << 20


class Forked:
    """A script's process; the part of ``subprocess.Popen`` that is used here.

    Without ``is_session`` it stays in this session. Raises OSError where it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        streams: tuple[IO[Any], IO[Any], IO[Any]],
        is_session: bool = False,
    ):
        self.returncode: int | None = None
        request = {"command": list(command), "cwd": str(cwd), "env": dict(env), "is_session": is_session}
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(_server())
        socket.send_fds(self._socket, [json.dumps(request).encode()], [stream.fileno() for stream in streams])
        self._socket.shutdown(socket.SHUT_WR)
        self.pid = self._heard()

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._socket], [], [], 0)[0]:
            self._take()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises TimeoutExpired."""
        if self.returncode is None and not select.select([self._socket], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        if self.returncode is None:
            self._take()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _take(self) -> None:
        self.returncode = self._heard()
        self._socket.close()

    def _heard(self) -> int:
        line = b""
        while not line.endswith(b"\n"):  # no more than that: what can be read tells that it has ended
            if not (read := self._socket.recv(1)):
                raise OSError("the process that forks has ended")
            line += read
        return int(line)


# -- the server, as seen from here

_starting = threading.Lock()
_started: list[str] = []


def _server() -> str:
    """The path of its socket; the first call starts it."""
    with _starting:
        if not _started:
            _started.append(_start())
    return _started[0]


def _start() -> str:
    folder = tempfile.mkdtemp(prefix="forking-")
    path = f"{folder}/socket"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PLATFORM_", "CELERY_", "PYTHON"))}
    command = [sys.executable, "-P", __file__, path]
    server = subprocess.Popen(command, cwd=folder, env=kept, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    atexit.register(_stop, server)
    assert server.stdout is not None
    with server.stdout as said:
        assert said.readline() == b"ready\n", "the process that forks did not start"
    return path


def _stop(server: subprocess.Popen[bytes]) -> None:
    assert server.stdin is not None
    server.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        server.wait(5)
    server.kill()


# -- the server


def serve(path: str) -> None:
    """Until standard input ends; then the folder of the socket is removed."""
    for name in LIBRARIES:
        import_module(name)
    assert "tasks" not in sys.modules
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    gc.freeze()
    print("ready", flush=True)
    while sys.stdin not in (ready := select.select([listener, sys.stdin], [], [])[0]):
        assert ready
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _answer(connection)
        connection.close()
    os.unlink(path)
    os.rmdir(Path(path).parent)


def _answer(connection: socket.socket) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()  # what is meant for whoever asked is not meant for this
    with suppress(OSError):
        text, descriptors, *_ = socket.recv_fds(connection, REQUEST_BYTES, 3)
        while more := connection.recv(REQUEST_BYTES):
            text += more
        pid = os.fork()
        if pid == 0:
            connection.close()
            _become(json.loads(text), descriptors)
        connection.sendall(f"{pid}\n".encode())
        for descriptor in (*descriptors, 0, 1, 2):  # a reader of the command's output is not to wait for this one
            os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(request: Mapping[str, Any], descriptors: Sequence[int]) -> NoReturn:
    """What Python does before and after a script."""
    if request["is_session"]:
        os.setsid()
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    os.closerange(3, 256)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    random.seed()
    script, *arguments = request["command"]
    folders = [part for part in request["env"].get("PYTHONPATH", "").split(os.pathsep) if part]
    sys.argv, sys.path[:0] = [script, *arguments], [str(Path(script).parent), *folders]
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - it is open as long as the process lives
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]
    code = 1
    try:
        code = _exit_code(script)
    finally:
        os._exit(code)


def _exit_code(script: str) -> int:
    code: Any = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as exc:
        code = exc.code
    except BaseException:  # as Python ends then
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return int(code or 0) & 0xFF


if __name__ == "__main__":
    serve(sys.argv[1])
