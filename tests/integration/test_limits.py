"""Limits hold over all workers together, measured by the jobs themselves; who waits holds no worker; nothing sticks."""

from __future__ import annotations

import os
import random
import signal
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from celery import chain, chord, group

from platform.deadletters.register import dead_letters
from platform.jobs.ledger import ledger
from platform.queueing.limits import limit, limited
from tasks import app
from tests.integration.conftest import SAMPLES
from tests.integration.queueing.conftest import ON_RABBITMQ
from tests.processes import Worker
from tests.waiting import eventually

#: A start is noted by the job, some time after the limit let it through: so much more or less, at most, in seconds.
JITTER_S = 0.15
MANY = int(os.environ.get("TEST_MANY_LIMITED", "700"))


@dataclass(frozen=True)
class Run:
    label: str
    began: float
    ended: float


@pytest.fixture
def start(worker: Callable[..., Worker]) -> Callable[..., Worker]:
    def go(**more: object) -> Worker:
        settings = {"imports": "gated", "folder": SAMPLES, "lease_ttl_s": 2.0, "concurrency": 2} | more
        return worker(**settings)

    return go


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def submit(name: str, file: Path, label: object, *args: object, **options: object) -> str:
    return app.send_task(f"gated.{name}", [str(file), label, *args], **options).id


def runs(file: Path) -> list[Run]:
    """In the order of their beginning."""
    lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
    return sorted((Run(label, float(b), float(e)) for label, b, e, _ in lines), key=lambda run: run.began)


def state(job_id: str) -> str:
    return ledger().get(job_id).state


def waits(job_id: str) -> bool:
    return ledger().get(job_id).waiting_for is not None


def all_ended(job_ids: list[str], timeout_s: float = 60) -> None:
    eventually(lambda: all(job.is_final for job in ledger().get_many(job_ids)), timeout_s, 0.2)


def most_at_once(found: list[Run]) -> int:
    changes = sorted([(run.began, 1) for run in found] + [(run.ended, -1) for run in found])
    at_once = [sum(step for _, step in changes[: n + 1]) for n in range(len(changes))]
    return max(at_once)


def most_in(found: list[Run], window_s: float) -> int:
    """The most starts in any window of that length."""
    began = [run.began for run in found]
    return max(bisect_left(began, at + window_s) - n for n, at in enumerate(began))


def nothing_is_left() -> None:
    """No place, no turn, no message; but for a rate's next moments, which pass by themselves."""

    def left() -> list[str]:
        keys = ledger().client.scan_iter(f"{ledger().prefix}limit*", count=1000)
        messages = ledger().client.hkeys(f"{ledger().prefix}delayed:messages")
        return [key for key in keys if not key.endswith((":next", ":paced"))] + messages

    eventually(lambda: left() == [], 15, 0.2)


def test_no_more_run_at_once_than_the_limit_says_over_all_workers(start: Callable[..., Worker], file: Path) -> None:
    for _ in range(2):
        start(concurrency=3)
    jobs = [submit("three", file, n, 0.05) for n in range(40)]
    all_ended(jobs)
    assert most_at_once(runs(file)) == 3
    assert len(runs(file)) == 40
    nothing_is_left()


def test_each_value_has_places_of_its_own(start: Callable[..., Worker], file: Path) -> None:
    for _ in range(2):
        start(concurrency=2)
    customers = ["ann", "bob", "eve"]
    jobs = [submit("each", file, customer, 0.05, customer) for _ in range(10) for customer in customers]
    all_ended(jobs)
    found = runs(file)
    assert [most_at_once([run for run in found if run.label == customer]) for customer in customers] == [1, 1, 1]
    assert most_at_once(found) > 1
    nothing_is_left()


def test_a_rate_is_kept_in_every_window_and_used_up(start: Callable[..., Worker], file: Path) -> None:
    for _ in range(2):
        start()
    jobs = [submit("ten", file, n) for n in range(30)]
    all_ended(jobs)
    found = runs(file)
    assert len(found) == 30
    print(f"30 at 10/s took {found[-1].began - found[0].began:.2f} s; most in 1 s: {most_in(found, 1.0)}")
    assert 2.9 - JITTER_S <= found[-1].began - found[0].began < 5.0
    assert most_in(found, 1.0) <= 10 + 10 * JITTER_S
    assert most_in(found, 2.0) <= 20 + 10 * JITTER_S
    nothing_is_left()


def test_a_rate_and_a_number_at_once_hold_together(start: Callable[..., Worker], file: Path) -> None:
    for _ in range(2):
        start()
    jobs = [submit("both", file, n, 0.01 if n % 2 else 0.2) for n in range(30)]
    all_ended(jobs)
    assert most_at_once(runs(file)) <= 2
    assert most_in(runs(file), 1.0) <= 20 + 20 * JITTER_S
    nothing_is_left()


def test_whoever_waits_holds_no_worker(start: Callable[..., Worker], file: Path, tmp_path: Path) -> None:
    start(concurrency=2)
    gate = tmp_path / "gate"
    held = [submit("hold", file, n, str(gate)) for n in range(6)]
    eventually(lambda: sum(waits(job) for job in held) == 5)
    assert ledger().get(held[-1]).waiting_for == "limit task:gated.hold"
    free = [submit("free", file, "free") for _ in range(10)]
    all_ended(free)
    assert [state(job) for job in held].count("pending") == 5
    gate.touch()
    all_ended(held)
    assert all(ledger().get(job).waiting_for is None for job in held)
    nothing_is_left()


def test_the_most_urgent_is_next_and_then_who_waits_longest(
    start: Callable[..., Worker], file: Path, tmp_path: Path
) -> None:
    start(concurrency=2)
    gate = tmp_path / "gate"
    jobs = [submit("hold", file, "first", str(gate))]
    eventually(lambda: state(jobs[0]) == "running")
    wanted = []
    for priority in (5, 1, 9, 5, 0, 9):
        wanted.append((-priority, len(jobs)))
        jobs.append(submit("hold", file, len(jobs), str(gate), priority=priority))
        eventually(lambda: waits(jobs[-1]))
    gate.touch()
    all_ended(jobs)
    assert [run.label for run in runs(file)] == ["first", *(str(label) for _, label in sorted(wanted))]


@pytest.mark.parametrize("what", ["worker", "group"])
def test_a_killed_workers_permit_is_free_again(
    start: Callable[..., Worker], file: Path, tmp_path: Path, what: str
) -> None:
    victim = start(concurrency=1)
    gate = tmp_path / "gate"
    orphan = submit("hold", file, "orphan", str(gate))
    eventually(lambda: state(orphan) == "running")
    start(concurrency=2)
    others = [submit("hold", file, n, str(gate)) for n in range(3)]
    eventually(lambda: all(waits(job) for job in others))
    victim.kill_group() if what == "group" else victim.kill()
    gate.touch()
    all_ended([orphan, *others], 40)
    assert {state(job) for job in [orphan, *others]} == {"completed"}
    assert most_at_once([run for run in runs(file) if run.label != "orphan"]) == 1
    nothing_is_left()


def test_a_permit_held_in_a_queue_nobody_serves_any_more_is_given_on(
    worker: Callable[..., Worker], start: Callable[..., Worker], file: Path, tmp_path: Path
) -> None:
    victim = start(concurrency=1)
    gate = tmp_path / "gate"
    orphan = submit("hold", file, "orphan", str(gate), queue="batch")
    eventually(lambda: state(orphan) == "running")
    options = {"imports": "gated", "folder": SAMPLES, "lease_ttl_s": 2.0}
    worker("-Q", "offload", **options)
    waiting = submit("hold", file, "waiting", str(gate))
    eventually(lambda: waits(waiting))
    victim.kill_group()
    gate.touch()
    all_ended([waiting], 30)
    assert state(orphan) == "running"  # its message waits in the queue nobody serves
    start()
    all_ended([orphan], 30)
    nothing_is_left()


def test_a_waiting_job_may_be_cancelled_or_expire(start: Callable[..., Worker], file: Path, tmp_path: Path) -> None:
    start()
    gate = tmp_path / "gate"
    first = submit("hold", file, "first", str(gate))
    eventually(lambda: state(first) == "running")
    cancelled = submit("hold", file, "cancelled", str(gate))
    expiring = submit("hold", file, "expiring", str(gate), expires=3)
    last = submit("hold", file, "last", str(gate))
    eventually(lambda: all(waits(job) for job in (cancelled, expiring, last)))
    ledger().cancel(cancelled)
    assert (state(cancelled), waits(cancelled)) == ("cancelled", False)
    all_ended([expiring])  # while the first still runs
    letter = eventually(lambda: ledger().get(expiring).dead_letter_id)
    assert dead_letters().get(letter).reason == "expired"
    assert state(first) == "running"
    gate.touch()
    all_ended([first, last])
    assert [run.label for run in runs(file)] == ["first", "last"]
    nothing_is_left()


def test_a_running_job_that_is_cancelled_makes_room(start: Callable[..., Worker], file: Path, tmp_path: Path) -> None:
    start(cancel_grace_s=1)
    endless = submit("hold", file, "endless", str(tmp_path / "never"))
    eventually(lambda: state(endless) == "running")
    waiting = submit("hold", file, "waiting", "/")
    eventually(lambda: waits(waiting))
    ledger().cancel(endless)
    all_ended([endless, waiting], 20)
    assert (state(endless), state(waiting)) == ("cancelled", "completed")
    nothing_is_left()


def test_a_job_that_waits_for_its_next_try_makes_room(start: Callable[..., Worker], file: Path) -> None:
    start()
    jobs = [submit("later", file, n, 2) for n in range(5)]
    all_ended(jobs)
    assert {state(job) for job in jobs} == {"completed"}
    found = runs(file)
    assert (len(found), most_at_once(found)) == (15, 1)
    labels = [run.label for run in found]
    assert labels.index("4.0") < labels.index("0.2")
    nothing_is_left()


def test_members_of_chains_groups_and_chords_wait_like_any_other(start: Callable[..., Worker], file: Path) -> None:
    for _ in range(2):
        start()

    def one(label: str):
        return app.signature("gated.one", args=[str(file), label, 0.02], immutable=True)

    ended = app.signature("gated.free", args=[str(file), "after"], immutable=True)
    results = [chain(*(one(f"chain{n}.{i}") for i in range(3))).delay() for n in range(4)]
    results.append(group(one(f"group{n}") for n in range(5)).delay())
    results.append(chord([one(f"chord{n}") for n in range(5)], ended).delay())
    for result in results:
        result.get(timeout=40)
    found = runs(file)
    assert len(found) == 23
    assert most_at_once([run for run in found if run.label != "after"]) == 1
    chains = [[run.label for run in found if run.label.startswith(f"chain{n}.")] for n in range(4)]
    assert chains == [[f"chain{n}.{i}" for i in range(3)] for n in range(4)]
    nothing_is_left()


def test_a_place_is_handed_on_at_once(start: Callable[..., Worker], file: Path) -> None:
    for _ in range(2):
        start()
    jobs = [submit("one", file, n, 0.005) for n in range(100)]
    all_ended(jobs)
    found = runs(file)
    per_s = len(found) / (found[-1].ended - found[0].began)
    print(f"{per_s:.0f} jobs of 5 ms a second, one at a time")
    assert most_at_once(found) == 1
    assert per_s > (10 if ON_RABBITMQ else 20)  # polling would make it 5 to 10


def test_a_queues_limit_binds_every_task_and_worker_that_starts_later(start: Callable[..., Worker], file: Path) -> None:
    limit("offload", 2, "50/s", "ann")
    for _ in range(2):
        start(concurrency=2)
    jobs = [submit(name, file, name, 0.05) for name in ["free", "three"] * 15]
    elsewhere = [submit("free", file, "elsewhere", 0.5, queue="batch") for _ in range(2)]
    all_ended([*jobs, *elsewhere])
    found = [run for run in runs(file) if run.label != "elsewhere"]
    assert (len(found), most_at_once(found)) == (30, 2)
    assert most_in(found, 1.0) <= 50 + 50 * JITTER_S
    assert most_at_once(runs(file)) > 2
    nothing_is_left()


def test_lifting_a_limit_lets_everybody_start(start: Callable[..., Worker], file: Path) -> None:
    limit("offload", None, "1/h", "ann")
    start()
    jobs = [submit("free", file, n) for n in range(250)]  # more than are called at once
    eventually(lambda: limited(["offload"])["offload"] == 249, 30)
    limit("offload", None, None, "ann")
    all_ended(jobs, 30)
    nothing_is_left()


def gated(chance: random.Random, file: Path, number: int) -> str:
    name = chance.choice(["one", "three", "each", "hundred", "both", "free"])
    customer = [f"c{number % 7}"] if name == "each" else []
    options = {"priority": chance.randrange(10), "queue": chance.choice(["offload", "batch"])}
    return submit(name, file, "".join([name, *customer]), 0.01, *customer, **options)


def test_nothing_sticks_whatever_is_killed(start: Callable[..., Worker], file: Path) -> None:
    """Jobs under all kinds of limits, of which some are cancelled, while workers are killed."""
    chance = random.Random(7)
    jobs: list[str] = []

    def some() -> list[str]:
        submitted = [gated(chance, file, n) for n in range(MANY // 4)]
        jobs.extend(submitted)
        return submitted

    # Before anybody can have run them.
    cancelled_unrun = [job for job in chance.sample(some(), MANY // 50) if ledger().cancel(job) == "cancelled"]
    workers = [start() for _ in range(3)]
    for round_ in range(4):
        ran = len(runs(file)) if round_ else 0
        fresh = some() if round_ else jobs
        eventually(lambda least=ran: len(runs(file)) > least, MANY / 10, 0.05)
        for job in chance.sample(fresh, MANY // 50):
            ledger().cancel(job)
        victim = workers.pop(0)
        victim.kill_group() if round_ % 2 else victim.signal(signal.SIGTERM)
        workers.append(start())
    all_ended(jobs, MANY / 5)
    assert {job.state for job in ledger().get_many(jobs)} == {"completed", "cancelled"}
    assert {job.state for job in ledger().get_many(cancelled_unrun)} == {"cancelled"}
    found = runs(file)
    most = {label: most_at_once([run for run in found if run.label == label]) for label in {run.label for run in found}}
    assert most["one"] == 1
    assert max(most[f"eachc{n}"] for n in range(7)) == 1
    assert (most["three"] <= 3, most["both"] <= 2) == (True, True)
    nothing_is_left()
