"""One supervised platform under test: its own DATA_DIR, its own ports, and the pids of everything it started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import httpx2

from deploy.supervision import processes as machine
from deploy.supervision import record
from deploy.supervision.client import Client
from deploy.supervision.errors import NotRunning
from deploy.supervision.place import Place
from deploy.supervision.processes import Identity
from deploy.supervision.status import Service, services
from tests import processes
from tests.waiting import eventually

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 60.0
# What a user may count on after a kill; a machine that is busy with other tests gets its time in proportion.
RECOVERY_S = 10.0 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
USER_TASKS = """
import time
from tasks import app

@app.task(name="naps.nap")
def nap(seconds, done, began=None):
    if began:
        open(began, "w").close()
    time.sleep(seconds)
    open(done, "w").close()
"""


class Installation:
    """``up`` and ``services`` for one folder. Nothing survives ``close()``, whatever a test did."""

    def __init__(self, data_dir: Path, folder: Path, **settings: object):
        self.place = Place(data_dir)
        self.folder = folder
        self.port, self.flower_port = processes.free_port(), processes.free_port()
        chosen = {"data_dir": data_dir, "http_port": self.port, "flower_port": self.flower_port, "web_workers": 2}
        self.env = processes.environment({**chosen, "worker_concurrency": 2, "imports": "naps", **settings})
        (folder / "naps.py").write_text(USER_TASKS)
        self.url = f"http://127.0.0.1:{self.port}"
        self.seen: set[Identity] = set()
        self.foreground: processes.Program | None = None

    def begin_up(self) -> processes.Program:
        """Start ``up`` in the foreground."""
        command = [processes.script("celery"), "-A", "platform", "up"]
        self.foreground = processes.Program(command, self.folder / "up.log", self.env, cwd=self.folder)
        return self.foreground

    def up(self) -> processes.Program:
        """Start ``up`` in the foreground and wait until it says that everything is ready."""
        up = self.begin_up()
        up.wait_for("Ctrl-C stops everything", START_TIMEOUT_S)
        self.collect()
        return up

    def celery(self, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
        """Run a command to its end in the installation's folder."""
        more = {f"PLATFORM_{name.upper()}": str(value) for name, value in settings.items()}
        return processes.celery(*arguments, cwd=self.folder, env=self.env | more)

    def services(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.celery("services", *arguments)

    def pid(self, name: str) -> int:
        """The pid of a program, of ``supervisor`` or of ``guard``, or of the first child: ``web child``."""
        known = record.load(self.place)
        assert known is not None, "nothing is running"
        program, _, child = name.partition(" ")
        own = {"supervisor": known.supervisor, "guard": known.guard}
        found = own[program] if program in own else known.of(program).process
        assert found is not None, f"{program} has no process"
        return self.children(found.pid)[0] if child else found.pid

    def children(self, pid: int) -> list[int]:
        return sorted(process.pid for process in machine.table().values() if process.parent == pid)

    def tell(self, name: str, number: signal.Signals) -> int:
        """A signal to one process; its pid."""
        self.collect()
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    def kill(self, name: str) -> int:
        return self.tell(name, signal.SIGKILL)

    def collect(self) -> None:
        """Remember every process that belongs to the installation now."""
        known = record.load(self.place)
        living = machine.table()
        leaders = known.leaders() if known else []
        self.seen |= {process.identity for leader in leaders for process in machine.family(leader, living)}

    def left(self) -> list[int]:
        """Those of the remembered processes that still live."""
        living = machine.table()
        return [identity.pid for identity in self.seen if machine.is_alive(identity, living)]

    def answers(self) -> bool:
        """Whether the front door serves, and Flower asks who is there."""
        addresses = {f"{self.url}/health": 200, f"http://127.0.0.1:{self.flower_port}/": 401}
        try:
            return all(httpx2.get(url, timeout=5, trust_env=False).status_code == n for url, n in addresses.items())
        except httpx2.TransportError:
            return False

    def now(self) -> dict[str, Service]:
        """What ``services status`` shows, asked without starting a process; empty while nothing answers."""
        known = record.load(self.place)
        try:
            return {s.name: s for s in services(Client(known.socket), [], self.place)} if known else {}
        except NotRunning:
            return {}

    def runs(self) -> bool:
        """Whether every program runs, and what can be asked answers."""
        return {service.state for service in self.now().values()} == {"running"} and self.answers()

    def nap(self, seconds: float, done: Path, began: Path | None = None) -> None:
        """Submit a job that writes ``began``, sleeps and writes ``done``."""
        arguments = [seconds, str(done), str(began) if began else None]
        sent = self.python(f"from tasks import app; app.send_task('naps.nap', {arguments!r}, queue='offload')")
        assert sent.returncode == 0, sent.stderr

    def does_work(self) -> bool:
        """Whether a job is taken and done, with the patience of a program that sends it again."""
        done = self.folder / f"done-{time.monotonic()}"

        def is_sent() -> bool:
            self.nap(0, done)
            return True

        return eventually(is_sent, RECOVERY_S) and eventually(done.exists, RECOVERY_S)

    def python(self, script: str) -> subprocess.CompletedProcess[str]:
        return processes.run(processes.script("python"), "-c", script, cwd=self.folder, env=self.env)

    def close(self) -> None:
        """Stop everything, politely first; assert nothing, so that it is safe after any failure."""
        self.collect()
        if record.load(self.place):
            self.services("stop")
        if self.foreground:
            self.foreground.stop()
        machine.kill(self.seen)
