"""``up`` in the foreground: shows what dies and what is back, until it is told to stop."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from deploy.supervision import daemon, lifecycle, logs, processes, record
from deploy.supervision.client import Client
from deploy.supervision.errors import NotRunning, StartFailed
from deploy.supervision.place import Place
from deploy.supervision.programs import Program
from deploy.supervision.readiness import until
from deploy.supervision.screen import BAD, CHANGING, GOOD, QUIET, Screen
from deploy.supervision.status import Service, services
from platform.settings import Settings

POLL_S = 0.5
REPEAT_S = 60.0  # what keeps dying is not told about at every try
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# One Ctrl-C may arrive twice, from the terminal and from a program in between.
SAME_REQUEST_S = 1.0
WORDS = {"stopping": ("is being stopped", CHANGING), "stopped": ("is stopped", QUIET)}
UNSTABLE = ("backoff", "fatal")


class StopRequest:
    """True after the first SIGINT, SIGTERM or SIGHUP; a later SIGINT kills what is still stopping."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._asked = threading.Event()
        self._first_at = 0.0

    def __bool__(self) -> bool:
        return self._asked.is_set()

    def wait(self, timeout_s: float) -> bool:
        return self._asked.wait(timeout_s)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals over, and give them back afterwards."""
        before = {number: signal.signal(number, self._take) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _take(self, signum: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._asked.is_set():
            self._first_at = now
        elif signum == signal.SIGINT and now - self._first_at > SAME_REQUEST_S:
            lifecycle.kill_everything(self._settings)
        self._asked.set()


class Watch:
    """Compares what runs with what ran half a second ago, and tells the difference."""

    def __init__(self, wanted: list[Program], place: Place, screen: Screen):
        self.wanted = wanted
        self.place = place
        self.screen = screen
        self.supervisor: processes.Identity | None = None
        self.before: dict[str, Service] = {}
        self.down_since: dict[str, float] = {}
        self.quiet_until: dict[str, float] = {}

    def run(self, stop: StopRequest) -> bool:
        """Watch until ``stop``; False if somebody else stopped everything before."""
        while not stop.wait(POLL_S):
            _reap()
            known = record.load(self.place)
            if known is None:
                self._await_supervisor()
                return False
            self._see_supervisor(known)
            with suppress(NotRunning):  # it is going or coming; the next round tells which
                for service in services(Client(known.socket), self.wanted, self.place):
                    self._see(service, self.before.get(service.name))
                    self.before[service.name] = service
        return True

    def _await_supervisor(self) -> None:
        """The record goes before the last of its processes: the guard that removes it, and supervisord, still end."""

        def is_gone() -> bool:
            _reap()
            return not processes.is_alive(self.supervisor)

        until(is_gone, lifecycle.STOP_SLACK_S)

    def _see_supervisor(self, known: record.Record) -> None:
        if not processes.is_alive(known.supervisor):
            self.screen.event("the supervisor died; everything is started again", BAD)
            self._revive()
            known = record.load(self.place) or known
        if self.supervisor and known.supervisor != self.supervisor:
            # Its programs died with it: one line says it for all of them.
            self.before = {}
            self.down_since = dict.fromkeys(known.programs, time.monotonic())
        self.supervisor = known.supervisor

    def _revive(self) -> None:
        """The guard does this too. Whoever comes first does it, and the other one finds it done."""
        try:
            daemon.revive(self.place)
        except StartFailed as exc:
            self.screen.event(str(exc), BAD)

    def _see(self, now: Service, before: Service | None) -> None:
        if before and now.restarts > before.restarts and now.name not in self.down_since:
            self.down_since[now.name] = time.monotonic()
            self.screen.event(f"{now.name} died{self._reason(now.name)}; it is started again", BAD)
        if now.state == "running" and (now.name in self.down_since or (before and before.state != "running")):
            self._tell_back(now)
        elif before and now.state != before.state:
            self._tell_state(now)

    def _tell_back(self, now: Service) -> None:
        since = self.down_since.pop(now.name, None)
        after = f" after {time.monotonic() - since:.1f} s" if since else ""
        self.screen.event(f"{now.name} is back{after}, pid {now.pid}", GOOD)

    def _tell_state(self, now: Service) -> None:
        if now.state in WORDS:
            words, style = WORDS[now.state]
            self.screen.event(f"{now.name} {words}", style)
        elif now.state in UNSTABLE and time.monotonic() > self.quiet_until.get(now.name, 0.0):
            self.quiet_until[now.name] = time.monotonic() + REPEAT_S
            said = logs.last_line(self.place.log(now.name))
            self.screen.event(f"{now.name} does not stay up; it is tried again. Its log ends with: {said}", BAD)

    def _reason(self, name: str) -> str:
        """What supervisord wrote about the last end of a program: the signal, or the exit status."""
        pattern = re.compile(rf"exited: {re.escape(name)} \((.+?)(?:; not expected)?\)$")
        found = [match for line in logs.tail(self.place.supervisor_log, 200) if (match := pattern.search(line))]
        return f" ({found[-1][1]})" if found else ""


def _reap() -> None:
    """Take leave of ended children: supervisord, and in a container, as process 1, everybody's orphans."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
