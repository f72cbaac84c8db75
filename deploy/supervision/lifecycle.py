"""Starting and stopping everything, or single programs, in the right order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from deploy.supervision import daemon, logs, ports, processes, record, trial
from deploy.supervision.client import ENDED, Client, Info
from deploy.supervision.errors import AlreadyRunning, NotRunning, StartFailed, StopFailed
from deploy.supervision.place import Place
from deploy.supervision.programs import GROUPS, Program, programs
from deploy.supervision.readiness import is_ready, until
from deploy.supervision.record import Record
from platform import embedded, endpoints
from platform.settings import Settings

START_TIMEOUT_S = 60.0
# So often may a program die while everything starts until waiting on is pointless.
START_DEATHS = 3
STOP_SLACK_S = 15.0
ORPHAN_GRACE_S = 5.0
POLL_S = 0.2


@dataclass(frozen=True)
class Starting:
    """How far a start has come: seconds until each program was ready, and what is not ready yet and why."""

    ready: dict[str, float]
    waiting: dict[str, str]  # name: state
    failed: dict[str, str]  # name: how its log ends
    elapsed_s: float


def begin(settings: Settings) -> list[Program]:
    """Start the supervisor, which starts everything else; follow it with ``starting``.

    Raises AlreadyRunning, PortTaken or StartFailed; then nothing was started.
    """
    place = Place(settings.data_dir)
    with place.locked():
        _refuse_twice(place)
        ports.check(settings)
        said = trial.complaint("schema")
        if said is not None:
            raise StartFailed(f"nothing was started: {said}")
        wanted = programs(settings)
        daemon.allow_many_files()
        daemon.begin(settings, wanted)
    return wanted


def starting(settings: Settings, wanted: list[Program], app: Any) -> Iterator[Starting]:
    """Report several times a second until everything is ready, something failed, or a minute has passed."""
    place = Place(settings.data_dir)
    began = time.monotonic()
    ready: dict[str, float] = {}
    while True:
        infos = {info.name: info for info in daemon.find(place).infos()}
        for program in wanted:
            if program.name not in ready and is_ready(program, infos[program.name], settings.data_dir, app):
                ready[program.name] = time.monotonic() - began
        elapsed_s = time.monotonic() - began
        waiting = {p.name: infos[p.name].state for p in wanted if p.name not in ready}
        failed = _failed(place, waiting, elapsed_s > START_TIMEOUT_S)
        yield Starting(ready, waiting, failed, elapsed_s)
        if failed or not waiting:
            return
        time.sleep(POLL_S)


def stop_everything(settings: Settings) -> Iterator[list[str]]:
    """Stop the supervisor and all it runs; report several times a second what still lives.

    In the order of supervisord's priorities: web, beat and Flower, then the workers, then Valkey. When the
    iteration is over, nothing is left. Raises NotRunning, or StopFailed if something could not even be killed.
    """
    place = Place(settings.data_dir)
    with place.locked():
        known = record.load(place)
        if known is None or not daemon.is_anything_left(known):
            raise NotRunning(daemon.nothing_runs(place))
        with suppress(NotRunning):  # on its way already, or dead: what it left behind is cleared below
            Client(known.socket).shutdown()
        yield from _watch_it_end(place, known, time.monotonic() + _longest_stop_s(settings))
        known = record.load(place) or known
        guard = [known.guard] if known.guard else []
        if not (processes.stop(guard, 1.0) and daemon.clear(known, ORPHAN_GRACE_S)):
            raise StopFailed(f"some processes of {place.data_dir} could not be killed; see {place.supervisor_log}")
        if endpoints.uses_embedded(settings):
            embedded.stop(settings.data_dir)  # one that was started on demand while ours was away
        place.clean(known.socket)


def kill_everything(settings: Settings) -> None:
    """End the programs that are being stopped at once, for who asks a second time; their jobs are run again.

    Valkey is spared: it needs no time, and what it has not written yet would be lost.
    """
    known = record.load(Place(settings.data_dir))
    programs_ = known.programs if known else {}
    processes.kill(found.process for name, found in programs_.items() if found.process and name != "valkey")


def start_some(client: Client, chosen: list[str], settings: Settings) -> None:
    """Start programs and wait until they run. Raises StartFailed with the end of the log."""
    place = Place(settings.data_dir)
    for group in GROUPS:
        wave = [info for info in client.infos() if info.name in chosen and info.group == group]
        for info in wave:
            place.release(info.name)
            client.start(info)
        for info in wave:
            _wait_until_it_runs(client, info.name, place)


def stop_some(client: Client, chosen: list[str], settings: Settings) -> None:
    """Stop programs, each with the time it has to end what it is doing; they stay stopped. Raises StopFailed."""
    place = Place(settings.data_dir)
    for group in reversed(GROUPS):
        wave = [info for info in client.infos() if info.name in chosen and info.group == group]
        for info in wave:
            place.hold(info.name)
            client.stop(info)
        names = [info.name for info in wave]
        if not until(lambda names=names: _have_ended(client, names), _longest_stop_s(settings)):  # type: ignore[misc]
            raise StopFailed(f"{', '.join(names)} did not stop; see `celery -A platform services status`")


def restart_some(client: Client, chosen: list[str], settings: Settings) -> None:
    stop_some(client, chosen, settings)
    start_some(client, chosen, settings)


def _refuse_twice(place: Place) -> None:
    known = record.load(place)
    if known is None:
        return
    living = processes.table()
    if processes.is_alive(known.supervisor, living) or processes.is_alive(known.guard, living):
        names = ", ".join(known.programs) or "its programs"
        pid = known.supervisor.pid if known.supervisor else "unknown"
        raise AlreadyRunning(
            f"{names} are running already in {place.data_dir} under supervisor {pid};"
            " see `celery -A platform services status`, or give this one its own PLATFORM_DATA_DIR"
        )
    daemon.clear(known, ORPHAN_GRACE_S)
    place.clean(known.socket)


def _failed(place: Place, waiting: dict[str, str], is_late: bool) -> dict[str, str]:
    known = record.load(place)
    deaths = {name: running.restarts for name, running in known.programs.items()} if known else {}
    hopeless = [name for name, state in waiting.items() if is_late or deaths.get(name, 0) >= START_DEATHS]
    return {name: logs.last_line(place.log(name)) for name in hopeless}


def _watch_it_end(place: Place, known: Record, deadline: float) -> Iterator[list[str]]:
    while time.monotonic() < deadline:
        living = processes.table()
        yield [name for name, running in known.programs.items() if processes.is_alive(running.process, living)]
        if not processes.is_alive(known.supervisor, living):
            return
        time.sleep(POLL_S)


def _longest_stop_s(settings: Settings) -> float:
    waves = [[p.stop_s for p in programs(settings) if p.group == group] for group in GROUPS]
    return sum(max(wave, default=0) for wave in waves) + STOP_SLACK_S


def _wait_until_it_runs(client: Client, name: str, place: Place) -> None:
    def has_settled() -> bool:
        return _find(client, name).state in ("running", "backoff", "fatal")

    if not until(has_settled, START_TIMEOUT_S) or _find(client, name).state != "running":
        raise StartFailed(f"{name} did not start; its log ends with: {logs.last_line(place.log(name))}")


def _have_ended(client: Client, names: list[str]) -> bool:
    return all(info.state in ENDED for info in client.infos() if info.name in names)


def _find(client: Client, name: str) -> Info:
    return next(info for info in client.infos() if info.name == name)
