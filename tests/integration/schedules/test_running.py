"""What becomes of a schedule that is due: its job, its rules, and what is left of it when it can make none."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from celery import Celery

from platform import clock
from platform.accounts import add_user, disable_user
from platform.errors import NotUnique
from platform.jobs.facts import NewJob, Started
from platform.jobs.ledger import ledger
from platform.schedules import acts
from platform.schedules.conductor import Conductor
from platform.schedules.definition import Definition
from platform.schedules.errors import StillRunning
from platform.schedules.register import Register
from platform.schedules.schedule import Schedule
from tests.integration.schedules.conftest import TASK, jobs

New = Callable[..., Schedule]
Forward = Callable[[float], None]
MakeScheduler = Callable[..., Conductor]
NOT_BEGUN = {"pending", "scheduled"}  # where queues are elsewhere, the pump hands the message over


def begin(job_id: str) -> None:
    """As a worker that takes it."""
    assert isinstance(ledger().start(NewJob(job_id, TASK, "offload", 5)), Started)


def test_a_run_that_is_due_is_a_job_of_the_schedules_owner(
    new: New, scheduler: MakeScheduler, forward: Forward, register: Register
) -> None:
    owner = add_user(f"{uuid.uuid4().hex}@example.com", "user", "correct horse")
    owner_id = getattr(owner, "id", owner)
    made = new(owner=owner_id, app_id="acme", queue="batch", priority=8)
    acting = scheduler()
    acting.step()
    assert jobs() == []
    forward(61)
    assert 0 <= acting.step() <= 0.5
    (job,) = jobs()
    assert (job.task, job.queue, job.priority, job.owner, job.app_id) == (TASK, "batch", 8, owner_id, "acme")
    assert job.state in NOT_BEGUN
    assert job.job_id == str(uuid.uuid5(uuid.UUID(made.id), str(made.next_ms)))
    seen = register.get(made.id)
    assert (seen.runs, seen.last_job_id, seen.missed_runs, seen.last_error) == (1, job.job_id, 0, None)
    assert (seen.next_ms or 0) - (made.next_ms or 0) == 60_000
    assert abs((seen.last_run_ms or 0) - clock.now_ms()) < 5_000


def test_its_message_is_taken_and_run_as_any(new: New, scheduler: MakeScheduler, forward: Forward, app: Celery) -> None:
    new()
    acting = scheduler()
    acting.step()
    forward(61)
    acting.step()
    with app.connection_for_read() as connection, connection.channel() as channel:
        queue = app.amqp.queues["offload"](channel)
        queue.declare()
        message = queue.get(no_ack=True)
    if message is None:  # it is in the schedule of delayed jobs
        assert jobs()[0].state == "scheduled"
        return
    headers = message.headers
    assert (headers["id"], headers["task"], headers["schedule"][:8]) == (jobs()[0].job_id, TASK, "00000000")
    assert headers["due_at"].endswith("+00:00")


@pytest.mark.parametrize(
    ("policy", "made", "missed"),
    [("skip", 0, 4), ("once", 1, 3), ("all", 4, 0)],
)
def test_runs_that_were_due_while_nobody_acted_follow_the_policy(
    new: New, scheduler: MakeScheduler, forward: Forward, register: Register, policy: str, made: int, missed: int
) -> None:
    kept = new(missed=policy, every_s=3600.0)
    forward(4 * 3600 + 1800)
    acting = scheduler()
    while acting.step() == 0:
        pass
    acting.step()
    seen = register.get(kept.id)
    assert (len(jobs()), seen.runs, seen.missed_runs) == (made, made, missed)
    assert seen.next_ms == (kept.next_ms or 0) + 4 * 3_600_000
    assert register.metrics().get("missed", 0) == missed


def test_several_backlogs_are_made_up_in_turn(new: New, scheduler: MakeScheduler, forward: Forward) -> None:
    new("a", missed="all", every_s=600.0)
    new("b", missed="all", every_s=600.0, args=["/b"])
    forward(3601)
    acting = scheduler()
    acting.step()
    assert len(jobs()) == 2
    acting.step()
    assert len(jobs()) == 4


def test_overlapping_runs_are_allowed(new: New, scheduler: MakeScheduler, forward: Forward) -> None:
    new()
    acting = scheduler()
    for _ in range(2):
        forward(61)
        acting.step()
    assert len(jobs()) == 2


def test_a_run_is_left_out_while_the_one_before_has_not_ended(
    new: New, scheduler: MakeScheduler, forward: Forward, register: Register
) -> None:
    made = new(overlap="skip")
    acting = scheduler()
    for _ in range(2):
        forward(61)
        acting.step()
    (job,) = jobs()
    assert register.metrics()["overlapped"] == 1
    with pytest.raises(StillRunning, match=job.job_id):
        acts.run(made.id, "me", acting.app)
    begin(job.job_id)
    ledger().complete(job.job_id, b"1")
    forward(61)
    acting.step()
    assert len(jobs()) == 2


def test_a_run_takes_the_place_of_the_one_before(new: New, scheduler: MakeScheduler, forward: Forward) -> None:
    new(overlap="replace")
    acting = scheduler()
    for _ in range(2):
        forward(61)
        acting.step()
    first, second = jobs()
    assert first.state == "cancelled"
    begin(second.job_id)
    forward(61)
    acting.step()
    assert list(ledger().cancel_requests([second.job_id])) == [second.job_id]
    assert len(jobs()) == 3


def test_of_a_unique_task_the_job_that_stands_is_enough(
    new: New, scheduler: MakeScheduler, forward: Forward, register: Register, app: Celery
) -> None:
    @app.task(name="tests.schedules.single", unique=True)
    def single() -> None: ...

    made = new(task=single.name, args=[])
    acting = scheduler()
    for _ in range(2):
        forward(61)
        acting.step()
    (job,) = jobs()
    assert (register.metrics()["not_unique"], register.get(made.id).last_job_id) == (1, job.job_id)
    with pytest.raises(NotUnique, match=job.job_id):
        acts.run(made.id, "me", app)
    del app.tasks[single.name]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"queue": "nowhere"}, "nowhere"),
        ({"args": []}, "missing 1 required positional argument"),
        ({"owner": "gone"}, "its owner's account is disabled or gone"),
    ],
)
def test_one_that_can_make_no_job_says_why_and_holds_up_nobody(
    new: New, scheduler: MakeScheduler, forward: Forward, register: Register, more: dict[str, object], why: str
) -> None:
    broken, sound = new("broken", **more), new("sound")
    acting = scheduler()
    forward(61)
    acting.step()
    assert [job.job_id for job in jobs()] == [register.get(sound.id).last_job_id]
    seen = register.get(broken.id)
    assert (seen.runs, why in (seen.last_error or "")) == (0, True)
    assert (seen.next_ms or 0) > clock.now_ms()
    assert register.metrics()["failed"] == 1


def test_an_error_is_forgotten_with_the_next_job(
    new: New, scheduler: MakeScheduler, forward: Forward, register: Register
) -> None:
    made = new(args=[])
    acting = scheduler()
    forward(61)
    acting.step()
    register.change(register.get(made.id), made.definition.changed(0, args=["/there"]))
    forward(61)
    acting.step()
    assert (register.get(made.id).last_error, len(jobs())) == (None, 1)


def test_a_disabled_accounts_schedules_make_no_jobs(new: New, scheduler: MakeScheduler, forward: Forward) -> None:
    email = f"{uuid.uuid4().hex}@example.com"
    owner = add_user(email, "user", "correct horse")
    new(owner=getattr(owner, "id", owner))
    disable_user(email)
    forward(61)
    scheduler().step()
    assert jobs() == []


def test_a_run_that_was_asked_for_leaves_the_times_alone(new: New, register: Register, app: Celery) -> None:
    made = acts.pause(new().id, "me")
    job_id = acts.run(made.id, "me", app)
    seen = register.get(made.id)
    assert (seen.last_job_id, seen.runs, seen.next_ms, seen.is_paused) == (job_id, 1, None, True)
    assert ledger().get(job_id).state in NOT_BEGUN
    assert acts.run(made.id, "me", app, job_id) == job_id
    assert len(jobs()) == 1


def test_a_paused_one_makes_no_runs_and_makes_none_up(
    new: New, scheduler: MakeScheduler, forward: Forward, register: Register
) -> None:
    made = new(missed="all")
    acts.pause(made.id, "me")
    forward(3601)
    acting = scheduler()
    acting.step()
    assert jobs() == []
    resumed = acts.resume(made.id, "me")
    assert 0 < (resumed.next_ms or 0) - clock.now_ms() <= 60_000
    acting.step()
    assert jobs() == []


def test_a_change_of_times_counts_from_now_and_another_leaves_them(
    new: New, scheduler: MakeScheduler, forward: Forward
) -> None:
    made = new(every_s=3600.0)
    forward(1800)
    assert acts.change(made.id, "me", priority=9).next_ms == made.next_ms
    changed = acts.change(made.id, "me", every_s=600.0)
    assert 599_000 <= (changed.next_ms or 0) - clock.now_ms() <= 600_000
    daily = acts.change(made.id, "me", cron="30 2 * * *", timezone="Europe/Berlin")
    assert (daily.definition.every_s, daily.definition.cron) == (None, "30 2 * * *")
    forward(86_400 + 3600)
    scheduler().step()
    (job,) = jobs()
    assert job.priority == 9


def test_one_without_a_time_of_its_own_is_left_alone(register: Register, scheduler: MakeScheduler) -> None:
    """As another release might leave it: it is logged, and nothing is lost."""
    made = Definition(name="odd", task=TASK)
    register.write(str(uuid.uuid4()), "", made, "1", "")
    assert scheduler().step() == 0.5
    assert jobs() == []
