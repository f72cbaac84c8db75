"""Where one supervised DATA_DIR keeps its files: configuration, socket, pids and logs."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from platform.errors import PlatformError

# sun_path holds 104 bytes on macOS and 108 on Linux, the final zero included, and supervisord binds its
# socket under a longer name first: the pid is appended.
SOCKET_PATH_MAX_BYTES = 103 - len(".4194304")


@dataclass(frozen=True)
class Place:
    """The supervisor's files under one ``DATA_DIR``."""

    data_dir: Path

    @property
    def run(self) -> Path:
        return self.data_dir / "run"

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def configuration(self) -> Path:
        return self.run / "supervisord.conf"

    @property
    def pidfile(self) -> Path:
        return self.run / "supervisord.pid"

    @property
    def record(self) -> Path:
        return self.run / "record.json"

    @property
    def supervisor_log(self) -> Path:
        return self.logs / "supervisor.log"

    def log(self, program: str) -> Path:
        return self.logs / f"{program}.log"

    def make(self) -> None:
        """Create the folders; only their owner may look inside."""
        for folder in (self.run, self.logs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.rmtree(self.run / "held", ignore_errors=True)

    def choose_socket(self) -> Path:
        """The control socket's path: beside the other files, or in a short private folder if that is too long.

        Raises PlatformError if that folder is somebody else's.
        """
        beside = self.run / "supervisor.sock"
        if len(os.fsencode(beside)) <= SOCKET_PATH_MAX_BYTES:
            return beside
        digest = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"platform-{os.getuid()}-{digest}"
        folder.mkdir(exist_ok=True, mode=0o700)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise PlatformError(f"{folder} is not a private folder of this user; remove it or set a shorter DATA_DIR")
        return folder / "s.sock"

    def hold(self, program: str) -> None:
        """Note that the program was stopped on purpose: nothing but ``release`` and a start may bring it back."""
        self._hold(program).parent.mkdir(parents=True, exist_ok=True)
        self._hold(program).touch()

    def release(self, program: str) -> None:
        self._hold(program).unlink(missing_ok=True)

    def is_held(self, program: str) -> bool:
        return self._hold(program).exists()

    def _hold(self, program: str) -> Path:
        return self.run / "held" / program

    def clean(self, socket: Path) -> None:
        """Remove what tells others of a running supervisor, when there is none any more."""
        for file in (self.record, self.pidfile, socket):
            file.unlink(missing_ok=True)
        if socket.parent != self.run:
            with suppress(OSError):
                socket.parent.rmdir()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Starting, stopping and reviving exclude each other, in all processes."""
        self.run.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.run / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                # Not left to closing: a child forked meanwhile has the file open too.
                fcntl.flock(file, fcntl.LOCK_UN)
