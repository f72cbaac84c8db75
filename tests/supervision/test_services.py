"""``services`` as people and scripts use it, on a platform that runs."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from tests import processes
from tests.supervision.installation import RECOVERY_S, Installation
from tests.waiting import eventually

pytestmark = pytest.mark.supervision

NAMES = ["valkey", "worker1", "worker2", "beat", "web", "flower"]


def test_status_as_json_has_the_promised_shape(running: Installation) -> None:
    found = json.loads(running.services("status", "--json").stdout)
    assert [service["name"] for service in found] == NAMES
    assert {tuple(service) for service in found} == {("name", "pid", "state", "since", "restarts", "url")}
    assert {service["state"] for service in found} == {"running"}
    assert all(isinstance(service["pid"], int) and isinstance(service["restarts"], int) for service in found)
    ages = [datetime.now(UTC) - datetime.fromisoformat(service["since"]) for service in found]
    assert all(0 <= age.total_seconds() < 600 for age in ages)
    urls = {service["name"]: service["url"] for service in found}
    assert (urls["web"], urls["worker1"]) == (running.url, None)
    assert urls["flower"] == f"http://127.0.0.1:{running.flower_port}"


def test_no_secret_is_in_status_configuration_or_command_lines(running: Installation) -> None:
    password = json.loads((running.place.data_dir / "valkey" / "endpoint.json").read_text())["password"]
    flower = (running.place.data_dir / "secrets" / "flower_password").read_text()
    listed = subprocess.run(["ps", "-ww", "-A", "-o", "args"], capture_output=True, text=True, check=True).stdout
    shown = running.services("status").stdout + running.place.configuration.read_text() + listed
    assert password not in shown
    assert flower not in shown


def test_the_table_is_plain_and_complete_off_a_terminal(running: Installation) -> None:
    table = running.services("status").stdout
    assert running.url in table
    assert "\x1b" not in table
    assert [line.split()[0] for line in table.splitlines() if " running " in line] == NAMES


def test_one_service_can_be_asked_about_and_a_kind_of_them(running: Installation) -> None:
    assert [s["name"] for s in json.loads(running.services("status", "web", "--json").stdout)] == ["web"]
    assert [s["name"] for s in json.loads(running.services("status", "worker", "--json").stdout)] == NAMES[1:3]


@pytest.mark.parametrize("command", ["status", "start", "stop", "restart", "update", "logs"])
def test_an_unknown_name_is_wrong_usage(running: Installation, command: str) -> None:
    done = running.services(command, "wrker1")
    assert done.returncode == 2
    assert done.stderr == "Error: no service is called 'wrker1'; did you mean 'worker1'?\n"


def test_a_stopped_service_stays_stopped_until_it_is_started(running: Installation) -> None:
    assert json.loads(running.services("stop", "beat", "--json").stdout)[0]["state"] == "stopped"
    running.kill("supervisor")
    eventually(lambda: len(running.now()) == 6 and running.now()["web"].state == "running", RECOVERY_S)
    assert running.now()["beat"].state == "stopped"
    assert json.loads(running.services("start", "beat", "--json").stdout)[0]["state"] == "running"
    eventually(running.runs)


def test_restart_replaces_the_process_and_counts_no_failure(running: Installation) -> None:
    before = running.now()["flower"]
    assert running.services("restart", "flower").returncode == 0
    after = running.now()["flower"]
    assert (after.state, after.restarts) == ("running", before.restarts)
    assert after.pid != before.pid
    eventually(running.answers)


def test_update_replaces_everything_but_valkey_and_refuses_nobody(running: Installation) -> None:
    before = running.now()
    web_workers = running.children(running.pid("web"))
    visitor = Visitor(running.url)
    done = running.services("update", "--json")
    answers = visitor.leave()
    assert done.returncode == 0, done.stderr
    after = {service["name"]: service for service in json.loads(done.stdout)}
    same = [name for name in after if after[name]["pid"] == before[name].pid]
    assert same == ["valkey", "web"]  # gunicorn's master stays and holds the port
    assert not set(web_workers) & set(running.children(running.pid("web")))
    assert set(answers) == {200}
    assert answers[200] > 50


def test_update_restarts_nothing_when_the_new_code_is_broken(running: Installation) -> None:
    before = running.now()
    module = running.folder / "naps.py"
    works = module.read_text()
    module.write_text("raise RuntimeError('half written')")
    done = running.services("update")
    module.write_text(works)
    assert done.returncode == 1
    assert "nothing was restarted" in done.stderr
    assert "half written" in done.stderr
    assert {n: s.pid for n, s in running.now().items()} == {n: s.pid for n, s in before.items()}


def test_logs_prints_the_last_lines(running: Installation) -> None:
    assert len(running.services("logs", "web", "--lines", "3").stdout.splitlines()) == 3
    assert "Ready to accept connections" in running.services("logs", "valkey").stdout
    together = running.services("logs", "-n", "1").stdout.splitlines()
    assert [line.split()[0] for line in together] == NAMES
    assert json.loads(running.services("logs", "beat", "-n", "1", "--json").stdout)[0]["name"] == "beat"


def test_logs_follows_across_a_rotation(running: Installation, tmp_path: Path) -> None:
    command = [processes.script("celery"), "-A", "platform", "services", "logs", "-f", "web", "-n", "1"]
    with processes.Program(command, tmp_path / "followed", running.env, cwd=running.folder) as follower:
        _visit(running, "before-the-rotation", follower)
        log = running.place.log("web")
        log.rename(log.with_suffix(".log.1"))
        running.tell("supervisor", signal.SIGUSR2)  # supervisord opens its logs anew
        eventually(log.exists)
        _visit(running, "after-the-rotation", follower)
        follower.signal(signal.SIGINT)
        assert follower.wait() == 0


def test_a_second_up_says_what_runs_already(running: Installation) -> None:
    done = running.celery("up")
    assert done.returncode == 1
    assert "worker1" in done.stderr
    assert "running already" in done.stderr
    assert running.runs()


class Visitor(threading.Thread):
    """Asks for /health, each time on a new connection, and counts the answers."""

    def __init__(self, url: str):
        super().__init__(daemon=True)
        self.url = url
        self.answers: Counter[object] = Counter()
        self.leaving = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.leaving.wait(0.02):
            try:
                self.answers[httpx2.get(f"{self.url}/health", timeout=10, trust_env=False).status_code] += 1
            except httpx2.TransportError as exc:
                self.answers[repr(exc)] += 1

    def leave(self) -> Counter[object]:
        self.leaving.set()
        self.join()
        return self.answers


def _visit(running: Installation, path: str, follower: processes.Program) -> None:
    def is_told() -> bool:
        httpx2.get(f"{running.url}/{path}", trust_env=False)
        return path in follower.text()

    eventually(is_told, 15, poll_s=0.3)
