"""``python -m deploy.supervision.guard DATA_DIR``: mends what supervisord alone does not.

It runs as an event listener inside supervisord, which restarts it like any program, and it brings supervisord
back in turn: its standard input ends when supervisord dies. Twice a second, and after each event, it

- starts what should run and does not: at first Valkey, and once that answers the rest;
- lets rest what keeps dying, and starts it again then, for ever;
- ends what a dead program left behind in its process group;
- writes down pids and restarts, for the day when supervisord cannot be asked.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import signal
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from deploy.supervision import daemon, processes, readiness, record
from deploy.supervision.client import ENDED, GUARD, Client, Info
from deploy.supervision.errors import NotRunning, StartFailed
from deploy.supervision.listener import Listener
from deploy.supervision.place import Place
from deploy.supervision.processes import Identity
from deploy.supervision.programs import STORE
from deploy.supervision.record import Record
from deploy.supervision.rests import Rests
from platform import embedded
from platform.errors import EmbeddedServerError

log = logging.getLogger("guard")

STEP_S = 0.5
STARTING_STEP_S = 0.1
STORE_CHECK_S = 3.0
# gunicorn's workers leave when their master is gone, and may end their requests. Everything else holds jobs
# that will be run again elsewhere, so it must not go on at all.
LEAVE_TO_END_S = {"web": 3.0}
REVIVAL_TRIES = 5
REVIVAL_REST_S = 2.0


class Guard:
    """The loop, and what it remembers from one step to the next."""

    def __init__(self, place: Place):
        self.place = place
        self.record = _own_record(place)
        self.client = Client(self.record.socket)
        self.listener = Listener()
        self.is_starting = True
        self.store_check_at = 0.0
        self.rests = Rests()
        self.began: dict[str, datetime] = {}
        self.leftovers: list[tuple[float, Identity]] = []  # when to kill the family of which dead leader

    def run(self) -> None:
        """Work until supervisord is gone."""
        while not self.listener.ended:
            events = self.listener.read(STARTING_STEP_S if self.is_starting else STEP_S)
            with suppress(NotRunning):  # it is shutting down, or dead: the next read will tell
                for event in events:
                    if event["groupname"] != GUARD:
                        self._notice(event)
                self._step()
            self._kill_leftovers()

    def _step(self) -> None:
        infos = {info.name: info for info in self.client.infos()}
        self._write_down(infos)
        for name, info in infos.items():
            if info.state == "running" and info.since:
                self.began[name] = info.since
            if info.state == "fatal":
                self.rests.when_given_up(name)
        self._check_store(infos)
        self._start_missing([i for i in infos.values() if i.state in ENDED and not self.place.is_held(i.name)], infos)

    def _write_down(self, infos: dict[str, Info]) -> None:
        before = self.record.model_copy(deep=True)
        living = processes.table()
        for info in infos.values():
            if found := living.get(info.pid or 0):
                self.record.of(info.name).process = found.identity
        if self.record != before:
            self._save()

    def _start_missing(self, missing: list[Info], infos: dict[str, Info]) -> None:
        """Start what should run and does not; the first time, only once Valkey answers."""
        new = [info for info in missing if not info.was_started]
        self.is_starting = bool(new)
        stores = [info for info in infos.values() if info.group == STORE]
        is_ready = not new or all(self._serves(store) for store in stores)
        for info in missing:
            if self.rests.is_over(info.name) and (is_ready or info.was_started or info.group == STORE):
                self.rests.end(info.name)
                self.client.start(info)

    def _check_store(self, infos: dict[str, Info]) -> None:
        """While Valkey was away, somebody may have started one on demand, and ours now waits for that to end."""
        if time.monotonic() < self.store_check_at:
            return
        self.store_check_at = time.monotonic() + STORE_CHECK_S
        waiting = [i for i in infos.values() if i.group == STORE and i.state == "running" and not self._serves(i)]
        if waiting and embedded.is_running(self.place.data_dir):
            log.warning("stopping a Valkey that was started on demand; the supervised one takes its place")
            with suppress(EmbeddedServerError):  # it is asked again at the next check
                embedded.stop(self.place.data_dir)

    def _serves(self, store: Info) -> bool:
        return readiness.store_answers(self.place.data_dir, store.pid)

    def _notice(self, event: dict[str, str]) -> None:
        """A program ended: see to what it leaves behind, and if nobody asked for its end, to its rest."""
        name = event["processname"]
        running = self.record.of(name)
        if leader := _who(event, running.process):
            self._clear_after(name, leader)
        if event["eventname"] != "PROCESS_STATE_STOPPED":
            running.restarts += 1
            log.warning("%s ended by itself, pid %s", name, event.get("pid", "unknown"))
        if event["eventname"] == "PROCESS_STATE_EXITED" and self._must_rest(name):
            log.warning("%s keeps dying; it rests before it is started again", name)
            self.client.stop(next(info for info in self.client.infos() if info.name == name))
        running.process = None
        self._save()

    def _must_rest(self, name: str) -> bool:
        now = datetime.now(UTC)
        return self.rests.after_death(name, (now - self.began.get(name, now)).total_seconds())

    def _clear_after(self, name: str, leader: Identity) -> None:
        rest_s = LEAVE_TO_END_S.get(name, 0.0)
        if rest_s:
            processes.send(processes.family(leader, processes.table()), signal.SIGTERM)
        self.leftovers.append((time.monotonic() + rest_s, leader))

    def _kill_leftovers(self) -> None:
        now = time.monotonic()
        if due := [leader for at, leader in self.leftovers if at <= now]:
            self.leftovers = [(at, leader) for at, leader in self.leftovers if at > now]
            processes.kill(due)

    def _save(self) -> None:
        try:
            self.record.save(self.place)
        except OSError as exc:  # a full disk must not keep anything from being started again
            log.error("%s", exc)  # noqa: TRY400


def _who(event: dict[str, str], known: Identity | None) -> Identity | None:
    """The process an event is about. It has just ended, so no living process can have its start time."""
    pid = int(event.get("pid", 0))
    if pid == 0 or (known and known.pid == pid):
        return known
    return Identity(pid=pid, started="")


def _own_record(place: Place) -> Record:
    """The record, with this process and its supervisor in it; made anew if it was lost."""
    socket = Path(os.environ["SUPERVISOR_SERVER_URL"].removeprefix("unix://"))
    known = record.load(place) or Record(socket=socket, folder=Path.cwd())
    if place.pidfile.read_text().strip() == str(os.getppid()):  # otherwise it has died already
        known.supervisor = processes.identify(os.getppid())
    known.guard = processes.identify(os.getpid())
    known.save(place)
    return known


def _revive(place: Place) -> None:
    for _ in range(REVIVAL_TRIES):
        try:
            if daemon.revive(place):
                log.warning("the supervisor had died; it was started again")
            return
        except StartFailed as exc:
            log.error("%s", exc)  # noqa: TRY400 - the message says it all
            time.sleep(REVIVAL_REST_S)


def _leave(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def main() -> None:
    place = Place(Path(sys.argv[1]))
    # By name and not through standard error: that is a pipe to supervisord, which may be dead.
    handler = logging.handlers.WatchedFileHandler(place.log("guard"))
    logging.basicConfig(handlers=[handler], format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    signal.signal(signal.SIGTERM, _leave)
    guard = Guard(place)
    try:
        guard.run()
    except SystemExit:
        if guard.client.is_stopping():
            place.record.unlink(missing_ok=True)  # stopped on purpose: nothing is to be brought back
        raise
    _revive(place)


if __name__ == "__main__":
    main()
