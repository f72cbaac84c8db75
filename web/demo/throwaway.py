"""A platform of its own for one demonstration: embedded defaults, free ports, a temporary ``DATA_DIR``."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import web
from web.demo.failure import DemoFailed
from web.demo.interrupts import interrupts

ROOT = Path(web.__file__).resolve().parent.parent
EMAIL = "demo@example.org"
FLOWER_USER = "demo"
COMMAND_TIMEOUT_S = 60.0
# Running jobs may end first, and web, workers and Valkey are stopped one after the other.
STOP_TIMEOUT_S = 180.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Access:
    """How to get in."""

    url: str
    flower_url: str
    email: str
    password: str
    api_key: str


class Throwaway:
    """``start()`` and ``stop()``, both by the commands a user would type; ``remove()`` leaves nothing behind."""

    def __init__(self) -> None:
        # Short, because a unix socket's path is; readable by its owner alone.
        self.data_dir = Path(tempfile.mkdtemp(prefix="platform-demo-"))
        self.config = self.data_dir / "demo.toml"
        self._errors = self.data_dir / "up.log"
        self._up: subprocess.Popen[str] | None = None
        self._accounts: _Accounts | None = None

    def start(self, files_root: Path, say: Say) -> Access:
        """Returns when everything answers; ``say`` is told what becomes ready. Raises DemoFailed."""
        http_port, flower_port = _free_ports(2)
        self._configure(http_port, flower_port, files_root)
        with interrupts.held():
            up, accounts = self._begin()
        self._await(up, say)
        accounts.join()
        return Access(
            url=f"http://127.0.0.1:{http_port}",
            flower_url=f"http://127.0.0.1:{flower_port}",
            email=EMAIL,
            password=accounts.password,
            api_key=accounts.key_or_failure(),
        )

    def stop(self) -> None:
        """End every process, also after half a start. Raises DemoFailed."""
        up, self._up = self._up, None
        if up is not None and up.poll() is None:
            up.terminate()  # interrupted, it leaves nothing behind, if only it may say so
            up.communicate(timeout=STOP_TIMEOUT_S)
        if self._accounts is not None:
            self._accounts.join()
        # After a start that failed the rest goes on running, or never began to.
        if up is not None and (up.returncode == 0 or self._is_anything_running()):
            self.run("services", "stop", timeout_s=STOP_TIMEOUT_S)

    def remove(self) -> None:
        shutil.rmtree(self.data_dir, ignore_errors=True)

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def flower_password_file(self) -> Path:
        return self.data_dir / "secrets" / "flower_password"

    def keep(self, access: Access) -> Path:
        """Write the password and the API key where the user finds them."""
        file = self.data_dir / "access.txt"
        file.touch(mode=0o600)
        file.write_text(f"e-mail    {access.email}\npassword  {access.password}\nAPI key   {access.api_key}\n")
        return file

    @property
    def stop_command(self) -> str:
        """What to type to stop it by hand."""
        celery = Path(sys.executable).with_name("celery")
        # DATA_DIR too: a variable the user has set wins over the file, and would name another platform to stop.
        settings = f"PLATFORM_CONFIG={self.config} PLATFORM_DATA_DIR={self.data_dir}"
        return f"{settings} {celery} -A platform services stop && rm -r {self.data_dir}"

    def run(self, *arguments: str, stdin: str = "", timeout_s: float = COMMAND_TIMEOUT_S) -> str:
        """The output of ``celery -A platform …``. Raises DemoFailed with its own words."""
        name = f"`celery -A platform {' '.join(arguments[:2])}`"
        try:
            done = subprocess.run(  # noqa: S603
                self._command(*arguments),
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
                **self._surroundings(),
            )
        except subprocess.TimeoutExpired as exc:
            raise DemoFailed(f"{name} did not end within {timeout_s:g} s") from exc
        if done.returncode != 0:
            raise DemoFailed(f"{name} failed: {_reason(done.stderr)}")
        return done.stdout

    def _begin(self) -> tuple[subprocess.Popen[str], _Accounts]:
        with self._errors.open("w") as errors:
            self._up = up = subprocess.Popen(  # noqa: S603
                self._command("up", "--detach"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                **self._surroundings(),
            )
        # Meanwhile: users are in the database, which needs no server.
        self._accounts = accounts = _Accounts(self)
        accounts.start()
        return up, accounts

    def _await(self, up: subprocess.Popen[str], say: Say) -> None:
        output = [line for line in up.stdout or () if not _told(line, say)]
        up.communicate()
        if up.returncode != 0:
            raise DemoFailed(f"the platform did not start: {_reason(self._errors.read_text() + ''.join(output))}")

    def _is_anything_running(self) -> bool:
        try:
            return json.loads(self.run("services", "status", "--json")) != []
        except DemoFailed:
            return False

    def _configure(self, http_port: int, flower_port: int, files_root: Path) -> None:
        # A file, not variables: in a variable a comma would part the folder's name in two.
        values = {
            "data_dir": str(self.data_dir),
            "http_port": http_port,
            "flower_port": flower_port,
            "flower_user": FLOWER_USER,
            "files_roots": [str(files_root)],
            "imports": ["web.demo.stages"],
        }
        try:
            self.config.write_text("".join(f"{name} = {toml(value)}\n" for name, value in values.items()), "utf-8")
        except UnicodeEncodeError as exc:
            raise DemoFailed(f"{files_root!r} has a name that is not UTF-8; rename it or name another folder") from exc

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "celery", "-A", "platform", *arguments]

    def _surroundings(self) -> dict[str, Any]:
        kept = {name: v for name, v in os.environ.items() if not name.startswith(("PLATFORM_", "CELERY_"))}
        # An own session: Ctrl-C is for the demonstration, which then stops the rest in its order.
        return {"cwd": ROOT, "env": {**kept, "PLATFORM_CONFIG": str(self.config)}, "start_new_session": True}


class _Accounts(Thread):
    """Adds a user and an API key while the platform starts."""

    def __init__(self, platform: Throwaway) -> None:
        super().__init__(name="accounts", daemon=True)
        self.password = secrets.token_urlsafe(16)
        self._platform = platform
        self._key = ""
        self._failure: DemoFailed | None = None

    def run(self) -> None:
        try:
            add = ("users", "add", EMAIL, "--role", "operator", "--password-stdin")
            self._platform.run(*add, stdin=f"{self.password}\n")
            self._key = self._platform.run("keys", "add", EMAIL, "--name", "demo", "--quiet").strip()
        except DemoFailed as exc:
            self._failure = exc

    def key_or_failure(self) -> str:
        if self._failure is not None:
            raise self._failure
        return self._key


def toml(value: object) -> str:
    """A text, number or list as TOML writes it: as JSON does, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _told(line: str, say: Say) -> bool:
    """Whether the line said that something is ready; then ``say`` was told."""
    if " ready after " in line:
        say(line.strip())
        return True
    return False


def _reason(text: str) -> str:
    """The first line that says what went wrong, else the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith("Error: ") or " is not ready" in line]
    return (telling or lines[-1:] or ["it did not say why"])[0].removeprefix("Error: ")


def _free_ports(count: int) -> list[int]:
    """Ports nobody has; held until all are chosen, so that they differ."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
