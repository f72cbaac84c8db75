"""``celery -A platform doctor`` as people and scripts meet it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from platform import embedded as server
from tests import processes

BAD_TASKS = """
from tasks import app

app.conf.task_acks_late = False
app.conf.accept_content = [*app.conf.accept_content, "pickle"]
app.conf.broker_transport_options = app.conf.broker_transport_options | {"visibility_timeout": 60}
app.conf.beat_schedule = {"nightly": {"task": "bad.renamed", "schedule": 3600}}

@app.task(autoretry_for=(BaseException,), max_retries=None)
def retried(): ...

@app.task
async def later(): ...

@app.task(queue="offlaod", soft_time_limit=10, time_limit=5)
def misdirected(): ...
"""

Doctor = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def doctor(data_dir: Path) -> Any:
    """Run it on a platform of its own; keywords are settings."""

    def run(*args: str, folder: Path | None = None, **values: object) -> subprocess.CompletedProcess[str]:
        env = processes.environment({"data_dir": data_dir} | values)
        env |= {"PYTHONPATH": str(folder)} if folder else {}
        return processes.celery("doctor", *args, env=env)

    yield run
    server.stop(data_dir)


def codes(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return {finding["code"]: finding["severity"] for finding in json.loads(done.stdout)}


def test_a_new_platform_has_nothing_a_newcomer_must_mend(doctor: Doctor) -> None:
    done = doctor("--json", "--strict")
    assert (done.returncode, done.stderr) == (0, "")
    assert set(codes(done)) <= {"no-workers", "root", "few-open-files", "data-dir-in-memory"}
    assert set(codes(done).values()) <= {"note"}


def test_every_finding_says_what_why_and_how(doctor: Doctor) -> None:
    for finding in json.loads(doctor("--json").stdout):
        assert set(finding) == {"severity", "code", "problem", "why", "fix", "topic"}
        assert all(finding.values())


def test_people_read_a_report(doctor: Doctor) -> None:
    done = doctor(lease_ttl_s=2)
    assert done.returncode == 0
    assert "WARNING  PLATFORM_LEASE_TTL_S is 2  lease-short" in done.stdout
    assert "Fix: PLATFORM_LEASE_TTL_S=8" in done.stdout
    assert "NOTE" not in doctor("--quiet", lease_ttl_s=2).stdout
    assert "1 warning" in done.stdout.splitlines()[-1]


def test_warnings_count_when_they_are_to(doctor: Doctor) -> None:
    assert doctor("--strict", lease_ttl_s=2).returncode == 1


def test_a_users_module_is_looked_at_as_workers_load_it(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(BAD_TASKS)
    done = doctor("--json", imports="bad", folder=tmp_path)
    found = codes(done)
    assert done.returncode == 1
    assert {code for code, severity in found.items() if severity == "error"} == {
        *("acks-early", "accepts-pickle", "schedule-of-unknown-task", "retries-exits", "task-never-runs"),
        *("task-to-unknown-queue", "task-soft-limit-after-hard"),
    }
    assert found["visibility-timeout"] == found["retries-endless"] == "warning"


def test_a_module_that_does_not_load_is_a_finding_not_a_traceback(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('not today')")
    done = doctor("--json", imports="broken", folder=tmp_path)
    assert (done.returncode, codes(done)["module-broken"]) == (1, "error")
    assert "Traceback" not in done.stderr


def test_a_setting_that_cannot_be_is_wrong_usage(doctor: Doctor) -> None:
    done = doctor(lease_ttl_s="soon")
    assert (done.returncode, done.stdout) == (2, "")
    assert "PLATFORM_LEASE_TTL_S" in done.stderr


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_is_away_is_a_finding_in_time(doctor: Doctor, scheme: str) -> None:
    began = time.monotonic()
    done = doctor("--json", broker_url=f"{scheme}://127.0.0.1:{processes.free_port()}/0")
    assert (done.returncode, codes(done)["broker-away"]) == (1, "error")
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 30


def test_a_frozen_server_is_a_finding_in_time(doctor: Doctor, data_dir: Path) -> None:
    place = server.ensure_running(data_dir)
    with redis.Redis.from_url(place.url) as client:
        pid = int(client.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        done = doctor("--json", broker_timeout_s=0.5)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert (done.returncode, codes(done)["broker-away"]) == (1, "error")


def test_settings_of_the_server_are_the_running_ones(doctor: Doctor, data_dir: Path) -> None:
    with redis.Redis.from_url(server.ensure_running(data_dir).url) as client:
        client.config_set("appendonly", "no")
        client.config_set("maxmemory", "1gb")
        client.config_set("maxmemory-policy", "allkeys-lru")
    assert codes(doctor("--json"))["persistence-off"] == codes(doctor("--json"))["eviction"] == "error"
