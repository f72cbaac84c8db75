"""Dead workers, paused ones and restarted servers: every job ends once, and no healthy one runs twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from platform import embedded as server
from platform.deadletters.register import DeadLetters
from platform.jobs.ledger import ledger
from platform.leases.lease import Lease, rescue_all
from platform.settings import Settings
from tasks import app
from tests.integration.conftest import SAMPLES
from tests.integration.leases.conftest import PREFIX
from tests.processes import Worker
from tests.waiting import eventually

TTL_S = 2.0

HEADERS = {"id": "x", "task": "shop.add", "retries": 0, "timelimit": [None, None]}
PROPERTIES = {
    "delivery_tag": "1",
    "delivery_info": {"exchange": "", "routing_key": "offload"},
    "body_encoding": "base64",
    "priority": 5,
}
ENVELOPE = {
    "body": "W1sxLCAyXSwge30sIHt9XQ==",  # [[1, 2], {}, {}] in base64
    "headers": HEADERS,
    "content-type": "application/json",
    "content-encoding": "utf-8",
    "properties": PROPERTIES,
}
POISON = [
    {"properties": {}},
    ENVELOPE | {"body": None},
    ENVELOPE | {"body": 7},
    ENVELOPE | {"body": "not base64"},
    ENVELOPE | {"body": "W10="},
    ENVELOPE | {"body": "NQ=="},
    ENVELOPE | {"headers": []},
    ENVELOPE | {"headers": {}},
    ENVELOPE | {"headers": {"task": "shop.add"}},
    ENVELOPE | {"headers": HEADERS | {"id": [1]}},
    ENVELOPE | {"headers": HEADERS | {"task": [1]}},
    ENVELOPE | {"headers": HEADERS | {"expires": [1]}},
    ENVELOPE | {"headers": HEADERS | {"timelimit": "x"}},
    ENVELOPE | {"headers": HEADERS | {"timelimit": [1]}},
    ENVELOPE | {"headers": HEADERS | {"stamped_headers": 7}},
    ENVELOPE | {"content-type": None},
    ENVELOPE | {"properties": PROPERTIES | {"body_encoding": "rot13"}},
]


@pytest.fixture
def start(worker: Callable[..., Worker], tmp_path: Path) -> Callable[..., Worker]:
    """Start a worker with a short lease."""
    shutil.copy(SAMPLES / "shop.py", tmp_path)

    def go(**more: object) -> Worker:
        options = {"imports": "shop", "folder": tmp_path, "lease_ttl_s": TTL_S} | more
        return worker(**options)

    return go


def submit(name: str, *args: object, **options: object) -> str:
    return app.send_task(f"shop.{name}", args, **options).id


def state(job_id: str) -> str:
    return ledger().get(job_id).state


def test_a_killed_workers_jobs_run_elsewhere_and_end_once(start: Callable[..., Worker]) -> None:
    first = start(concurrency=2)
    running = [submit("slow", 3) for _ in range(2)]
    waiting = [submit("add", n, n) for n in range(3)]
    eventually(lambda: all(state(job) == "running" for job in running))
    start(concurrency=2)
    killed_at = time.monotonic()
    first.kill_group()
    eventually(lambda: all(ledger().get(job).attempts == 2 for job in running), 40)
    print(f"running elsewhere after {time.monotonic() - killed_at:.1f} s")
    eventually(lambda: all(state(job) == "completed" for job in running + waiting), 30)
    assert [ledger().get(job).attempts for job in waiting] == [1, 1, 1]


def test_a_healthy_job_longer_than_its_lease_is_not_run_twice_while_others_come_and_go(
    start: Callable[..., Worker],
) -> None:
    start()
    job = submit("slow", 4 * TTL_S)
    eventually(lambda: state(job) == "running")
    for _ in range(2):
        other = start()
        other.kill_group()
    start()
    eventually(lambda: state(job) == "completed", 30)
    assert ledger().get(job).attempts == 1


def test_a_worker_stopped_past_its_lease_and_continued_completes_nothing_twice(start: Callable[..., Worker]) -> None:
    workers = [start(), start()]
    job = submit("slow", 3)
    frozen = eventually(lambda: next((worker for worker in workers if job in worker.text()), None))
    eventually(lambda: state(job) == "running")
    os.killpg(frozen.pid, signal.SIGSTOP)
    eventually(lambda: ledger().get(job).attempts == 2, 40)
    os.killpg(frozen.pid, signal.SIGCONT)
    eventually(lambda: state(job) == "completed", 30)
    assert ledger().get(job).attempts == 2
    later = [submit("add", n, n) for n in range(10)]
    eventually(lambda: all(state(job_id) == "completed" for job_id in later), 40)
    assert ledger().metrics("jobs")["shop.slow\x1foffload\x1fcompleted"] == "1"


def test_what_a_worker_stopped_past_its_lease_rejects_is_left_to_the_one_that_has_it(
    start: Callable[..., Worker], tmp_path: Path
) -> None:
    workers, runs = [start(), start()], tmp_path / "runs"
    job = submit("refuse", str(runs), str(tmp_path / "go"))
    frozen = eventually(lambda: next((worker for worker in workers if job in worker.text()), None))
    eventually(runs.exists)
    os.killpg(frozen.pid, signal.SIGSTOP)
    (tmp_path / "go1").touch()
    eventually(lambda: len(runs.read_text().splitlines()) == 2, 40)
    os.killpg(frozen.pid, signal.SIGCONT)
    eventually(lambda: "no thanks" in frozen.text())
    later = [submit("add", n, n) for n in range(10)]
    eventually(lambda: all(state(job_id) == "completed" for job_id in later), 40)
    (tmp_path / "go2").touch()
    eventually(lambda: state(job) == "completed", 30)
    assert (ledger().get(job).attempts, ledger().get(job).dead_letter_id) == (2, None)


def test_a_worker_that_is_told_to_stop_gives_back_what_it_had_not_begun(
    start: Callable[..., Worker], client: redis.Redis
) -> None:
    first = start()
    job = submit("slow", 2)
    eventually(lambda: state(job) == "running")
    others = [submit("add", n, n) for n in range(3)]
    first.signal(signal.SIGTERM)
    assert first.wait(30) == 0
    assert (state(job), ledger().get(job).attempts) == ("completed", 1)
    assert list(client.scan_iter("*held:*")) == []
    start()
    eventually(lambda: all(state(other) == "completed" for other in others))


def test_a_restarted_server_does_not_make_living_workers_dead(
    start: Callable[..., Worker], pytestconfig: pytest.Config, client: redis.Redis
) -> None:
    from tests.conftest import SESSION_DIR

    folder = pytestconfig.stash[SESSION_DIR]
    start()
    start()
    job = submit("slow", 4 * TTL_S)
    eventually(lambda: state(job) == "running")
    began = int(client.info("persistence")["aof_last_write_status"] == "ok")
    assert began
    eventually(lambda: client.execute_command("WAITAOF", 1, 0, 2000)[0] == 1)
    os.kill(int(client.info("server")["process_id"]), signal.SIGKILL)
    time_away = time.monotonic() + 1.5 * TTL_S  # away for longer than a lease
    eventually(lambda: time.monotonic() > time_away)
    server.ensure_running(folder)
    eventually(lambda: state(job) == "completed", 40)
    assert ledger().get(job).attempts == 1


def test_a_short_outage_ends_no_worker_that_has_jobs_running(
    start: Callable[..., Worker], pytestconfig: pytest.Config, client: redis.Redis
) -> None:
    from tests.conftest import SESSION_DIR

    first = start(concurrency=2)
    running = [submit("slow", 5) for _ in range(2)]
    waiting = [submit("add", n, n) for n in range(3)]
    eventually(lambda: all(state(job) == "running" for job in running))
    eventually(lambda: client.execute_command("WAITAOF", 1, 0, 2000)[0] == 1)
    os.kill(int(client.info("server")["process_id"]), signal.SIGKILL)
    server.ensure_running(pytestconfig.stash[SESSION_DIR])
    eventually(lambda: all(state(job) == "completed" for job in running + waiting), 40)
    assert first.is_alive
    assert [ledger().get(job).attempts for job in running] == [1, 1]
    eventually(lambda: not list(client.scan_iter("*held:*")))  # and what ended meanwhile was told later


def test_messages_nothing_can_be_made_of_are_kept_and_the_worker_goes_on(
    start: Callable[..., Worker], client: redis.Redis
) -> None:
    worker = start()
    for poison in POISON:
        client.lpush("{platform}:queue:offload\x06\x164", json.dumps(poison))
    job = submit("add", 1, 2)
    eventually(lambda: state(job) == "completed", 20)
    assert worker.is_alive
    letters = DeadLetters(client, Settings())
    eventually(lambda: letters.list().total == len(POISON))
    kept = [json.loads(letter.message) for letter in letters.list().items]
    assert all(poison in kept for poison in POISON)
    eventually(lambda: not list(client.scan_iter("*held:*")))


def test_a_task_that_runs_out_of_memory_fails_alone(start: Callable[..., Worker]) -> None:
    worker = start()
    job = submit("out_of_memory", headers={"max_retries": 0})
    eventually(lambda: state(job) == "failed")
    assert ledger().get(job).error["type"] == "MemoryError"
    later = submit("add", 1, 2)
    eventually(lambda: state(later) == "completed")
    assert worker.is_alive


def test_a_rescue_leaves_the_living_alone(new_lease: Callable[..., Lease], client: redis.Redis) -> None:
    living, dead = new_lease(), new_lease()
    for lease in (living, dead):
        client.hset(f"{PREFIX}held:{lease.name}", f"{lease.name}/1.1", f"{PREFIX}q\n\nmessage of {lease.name}")
    dead.leave()
    assert rescue_all(client, PREFIX, most_deaths=3) == 1
    assert client.lrange(f"{PREFIX}q", 0, -1) == [f"~1~message of {dead.name}".encode()]
    assert client.hlen(f"{PREFIX}held:{living.name}") == 1
    assert dead.renew() is False


def test_nobody_judges_until_heartbeats_have_come_for_a_whole_lease(new_lease: Callable[..., Lease]) -> None:
    lease = new_lease(ttl_s=TTL_S)
    began = time.monotonic()
    eventually(lambda: lease.keep() or lease.may_judge)
    assert time.monotonic() - began >= TTL_S
    started_later = new_lease(ttl_s=TTL_S)
    started_later.keep()
    assert started_later.may_judge


def test_nobody_judges_after_heartbeats_have_stopped_for_half_a_lease(
    new_lease: Callable[..., Lease], client: redis.Redis
) -> None:
    lease = new_lease(ttl_s=TTL_S)
    eventually(lambda: lease.keep() or lease.may_judge)
    eventually(lambda: not client.exists(f"{PREFIX}watch"))
    assert client.exists(f"{PREFIX}lease:{lease.name}")  # no living one's has run out by then
    assert not lease.may_judge
    lease.keep()
    assert not lease.may_judge


def test_a_message_whose_workers_keep_dying_is_put_aside(new_lease: Callable[..., Lease], client: redis.Redis) -> None:
    for deaths in (1, 2):
        lease = new_lease()
        marked = "" if deaths == 1 else str(deaths - 1)
        client.hset(f"{PREFIX}held:{lease.name}", f"{lease.name}/1.1", f"{PREFIX}q\n{marked}\nbad")
        lease.leave()
        rescue_all(client, PREFIX, most_deaths=2)
    assert client.lrange(f"{PREFIX}q", 0, -1) == [b"~1~bad"]
    assert client.lrange(f"{PREFIX}crashed", 0, -1) == [f"{PREFIX}q\n2\nbad".encode()]


def test_hundreds_of_messages_are_rescued_in_order_of_urgency_classes(
    new_lease: Callable[..., Lease], client: redis.Redis
) -> None:
    lease = new_lease()
    for n in range(350):
        client.hset(f"{PREFIX}held:{lease.name}", f"{lease.name}/1.{n}", f"{PREFIX}q\x06\x16{n % 10 or 1}\n\n{n}")
    lease.leave()
    assert rescue_all(client, PREFIX, most_deaths=3) == 350
    assert sum(client.llen(key) for key in client.scan_iter(f"{PREFIX}q*")) == 350
    assert client.smembers(f"{PREFIX}leases") == set()
