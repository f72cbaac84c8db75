"""The supervisord process: started, found again, and brought back after it died.

A record without a living supervisor means that it died: whoever stops it on purpose removes the record.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from deploy.supervision import configuration, processes, record
from deploy.supervision.client import Client
from deploy.supervision.errors import NotRunning, StartFailed
from deploy.supervision.place import Place
from deploy.supervision.programs import Program
from deploy.supervision.record import Record
from platform.settings import Settings

ANSWER_TIMEOUT_S = 10.0
STORE_GRACE_S = 2.0  # for Valkey to write down what is in memory
OPEN_FILES = 65_536
_started: list[subprocess.Popen[bytes]] = []  # kept: dropping the Popen of a living child is warned about


def begin(settings: Settings, programs: list[Program]) -> Client:
    """Write the configuration and start supervisord on it. For the holder of ``place.locked()``."""
    place = Place(settings.data_dir)
    place.make()
    new = Record(socket=place.choose_socket(), folder=Path.cwd())
    place.configuration.write_text(configuration.text(programs, place, new.socket))
    try:
        return _spawn(place, new)
    except StartFailed:
        place.record.unlink(missing_ok=True)
        raise


def find(place: Place) -> Client:
    """The running supervisor; if it has just died, the one that takes its place.

    Raises NotRunning with what to do.
    """
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while (known := record.load(place)) and time.monotonic() < deadline:
        client = Client(known.socket)
        if client.answers():
            return client
        living = processes.table()
        if not processes.is_alive(known.supervisor, living) and not processes.is_alive(known.guard, living):
            break
        time.sleep(0.1)
    raise NotRunning(nothing_runs(place))


def nothing_runs(place: Place) -> str:
    """What to tell, and what to do, when no supervisor answers."""
    if is_anything_left(record.load(place)):
        left = f"the supervisor of {place.data_dir} died and left programs behind"
        return f"{left}; `celery -A platform services start` replaces them, `… services stop` ends them"
    return f"nothing is running in {place.data_dir}; start it with `celery -A platform up`"


def is_anything_left(known: Record | None) -> bool:
    """Whether the recorded supervisor, or anything it started, lives."""
    living = processes.table()
    return known is not None and any(processes.family(leader, living) for leader in known.leaders())


def revive(place: Place) -> bool:
    """Start supervisord again if it died; False if it lives or was stopped on purpose.

    What the dead one left behind is stopped first. Raises StartFailed if the new one does not answer.
    """
    with place.locked():
        known = record.load(place)
        if known is None or processes.is_alive(known.supervisor):
            return False
        clear(known, grace_s=0)  # the sooner their jobs are run elsewhere
        known.socket.unlink(missing_ok=True)  # supervisord takes its time over a socket that nobody serves
        for running in known.programs.values():
            running.restarts += running.process is not None
            running.process = None
        _spawn(place, known)
    return True


def clear(known: Record, grace_s: float) -> bool:
    """Stop what a dead supervisor left behind, by pid, Valkey last. False if something could not be killed.

    ``grace_s``: how long a job or a request may go on.
    """
    running = {name: found.process for name, found in known.programs.items() if found.process}
    store = [process for name, process in running.items() if name == "valkey"]
    others = [process for name, process in running.items() if name != "valkey"]
    cleared = processes.stop(others, grace_s) and processes.stop(store, STORE_GRACE_S)
    # The last net, where sessions are known: whatever else was started by it or by its programs.
    processes.kill([known.supervisor] if known.supervisor else [])
    return cleared


def _spawn(place: Place, new: Record) -> Client:
    errors = place.run / "supervisord.err"
    command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(place.configuration)]
    with errors.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=new.folder,
            env=_environment(new.folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=out,
            start_new_session=True,  # Ctrl-C reaches `up` alone, which then stops things in order
        )
    _started.append(process)
    new.supervisor = processes.identify(process.pid)
    new.save(place)
    client = Client(new.socket)
    _wait_until_it_answers(client, process, errors)
    return client


def _wait_until_it_answers(client: Client, process: subprocess.Popen[bytes], errors: Path) -> None:
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while not client.answers():
        if process.poll() is not None or time.monotonic() > deadline:
            said = errors.read_text(errors="replace").strip()[-600:]
            raise StartFailed(f"the supervisor did not start: {said or 'it said nothing'}")
        time.sleep(0.05)


def _environment(folder: Path) -> dict[str, str]:
    """What the programs inherit. The user's own modules are found from the folder where ``up`` was called."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SUPERVISOR_")}
    paths = [str(folder), *kept.get("PYTHONPATH", "").split(os.pathsep)]
    return {**kept, "PYTHONPATH": os.pathsep.join(dict.fromkeys(filter(None, paths))), "PYTHONUNBUFFERED": "1"}


def allow_many_files() -> None:
    """Raise this process's soft limit of open files: each socket of the front door is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            return  # macOS has a lower limit of its own that it does not tell
