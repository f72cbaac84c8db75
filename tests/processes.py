"""Real programs under test: workers, gunicorn and single commands, each started and stopped by pid."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import httpx2

from tests.forking import Forked
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parent.parent
# Not resolved: following the link out of the virtual environment would lose its console scripts.
SCRIPTS = Path(sys.executable).parent
TAIL_CHARS = 6000
READY_TIMEOUT_S = 40.0
STOP_TIMEOUT_S = 20.0
#: Celery's look for other workers, one second at each start, and their chatter: nothing of the platform's needs it.
ALONE = ("--without-mingle", "--without-gossip")


Finished = subprocess.CompletedProcess[str]


def script(name: str) -> str:
    """The path of a console script of this virtual environment."""
    return str(SCRIPTS / name)


def environment(settings: Mapping[str, object] | None = None) -> dict[str, str]:
    """This process's environment without any PLATFORM_* or CELERY_*, with ``settings`` (keys as in Settings) added.

    Keys are written without the prefix and in any case: ``{"data_dir": path}``.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PLATFORM_", "CELERY_", "PYTHON"))}
    named = {f"PLATFORM_{name.upper()}": str(value) for name, value in (settings or {}).items()}
    return kept | named | {"PYTHONUNBUFFERED": "1"}


def run(
    *command: object, cwd: Path = ROOT, env: Mapping[str, str] | None = None, timeout_s: float = 120, stdin: str = ""
) -> Finished:
    """Run a command to its end and return it, whatever its exit code; standard output and error apart."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=dict(env) if env is not None else environment(),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def succeed(*command: object, cwd: Path = ROOT, env: Mapping[str, str] | None = None, timeout_s: float = 120) -> str:
    """Run a command, assert that it exits 0 and return its standard output."""
    done = run(*command, cwd=cwd, env=env, timeout_s=timeout_s)
    assert done.returncode == 0, f"{command} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def celery(
    *arguments: str, env: Mapping[str, str], stdin: str = "", cwd: Path = ROOT, timeout_s: float = 120
) -> Finished:
    """Run ``celery -A platform …`` to its end, as ``run`` does; it is forked from a process with its libraries."""
    command = [script("celery"), "-A", "platform", *arguments]
    with (
        tempfile.TemporaryFile("w+") as given,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        given.write(stdin)
        given.seek(0)
        forked = Forked(command, cwd, env, (given, out, err))
        try:
            code = forked.wait(timeout_s)
        except subprocess.TimeoutExpired:
            forked.kill()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(command, code, out.read(), err.read())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """A program running in its own process group with standard output and error in ``log``."""

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str], cwd: Path = ROOT):
        self.log = log
        self.env = dict(env)
        self.process = self._start(command, cwd)

    def _start(self, command: Sequence[str], cwd: Path) -> subprocess.Popen[bytes] | Forked:
        with self.log.open("ab") as out, open(os.devnull) as nothing:
            return subprocess.Popen(
                command, cwd=cwd, env=self.env, stdin=nothing, stdout=out, stderr=out, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def tail(self) -> str:
        return self.text()[-TAIL_CHARS:]

    def wait_for(self, line: str, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Return once ``line`` is in the log; fail at once if the program ends before."""
        eventually(lambda: line in self.text() or not self.is_alive, timeout_s)
        assert line in self.text(), f"exited {self.process.returncode} before {line!r}:\n{self.tail()}"

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Wait until the program ends by itself; its exit code, negative for a signal."""
        return self.process.wait(timeout_s)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to the program alone, as the kernel's out-of-memory killer does it; children live on."""
        self.process.kill()
        self.process.wait()

    def kill_group(self) -> None:
        """SIGKILL to the program and everything it started in its process group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """SIGTERM, a deadline, then SIGKILL; nothing of the group is left. Safe to call twice."""
        if self.is_alive:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout_s)
        self.kill_group()
        return self.process.wait()

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Forked(Program):
    """A script that is forked from a process with its libraries."""

    def _start(self, command: Sequence[str], cwd: Path) -> subprocess.Popen[bytes] | Forked:
        if any("gevent" in part for part in command):  # which patches what is imported later
            return super()._start(command, cwd)
        with self.log.open("ab") as out, open(os.devnull) as nothing:
            return Forked(command, cwd, self.env, (nothing, out, out), is_session=True)


class Worker(_Forked):
    """A real ``celery -A platform worker``."""

    def __init__(self, args: Sequence[str], log: Path, env: Mapping[str, str]):
        super().__init__([script("celery"), "-A", "platform", "worker", *args], log, env)

    def wait_until_ready(self) -> None:
        self.wait_for("ready.")


class Beat(_Forked):
    """A real ``celery -A platform beat``."""

    def __init__(self, args: Sequence[str], log: Path, env: Mapping[str, str]):
        # No pidfile: several run at the same time, and some are killed.
        super().__init__([script("celery"), "-A", "platform", "beat", "--pidfile=", "-l", "INFO", *args], log, env)

    def wait_until_ready(self) -> None:
        self.wait_for("beat: Starting...")


class Web(Program):
    """A real gunicorn with the project's own configuration; ``http`` is a client bound to its address."""

    def __init__(self, args: Sequence[str], log: Path, env: Mapping[str, str], port: int):
        gunicorn = [sys.executable, "-m", "gunicorn", "-c", "web/gunicorn.conf.py"]
        super().__init__([*gunicorn, *args, "web.wsgi:app"], log, env)
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        # No environment: a proxy variable of the machine must not lead loopback requests away.
        self.http = httpx2.Client(base_url=self.url, timeout=20, trust_env=False)

    def wait_until_ready(self) -> None:
        eventually(lambda: self._is_healthy() or not self.is_alive, READY_TIMEOUT_S)
        assert self.is_alive, f"gunicorn exited {self.process.returncode}:\n{self.tail()}"

    def _is_healthy(self) -> bool:
        try:
            return self.http.get("/health").status_code == 200
        except httpx2.TransportError:
            return False

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        self.http.close()
        return super().stop(timeout_s)


def stop_all(programs: Sequence[Program]) -> None:
    """End programs no test looks at any more, and quickly: a worker that is asked takes two seconds for it.

    On RabbitMQ it is given them: until the server has noticed that a connection is dead, what was delivered on it is in
    no queue, and would turn up in the next test.
    """
    is_noticed_at_once = not os.environ.get("TEST_BROKER_URL", "").startswith("amqp")
    for worker in [program for program in programs if isinstance(program, Worker) and program.is_alive]:
        if is_noticed_at_once:
            worker.kill_group()
        else:
            worker.process.terminate()
    for program in reversed(programs):
        program.stop()
