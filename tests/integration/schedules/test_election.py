"""Any number of schedulers: one acts, and nothing is run twice or by one that only believes it acts."""

from __future__ import annotations

from collections.abc import Callable

from celery import Celery
from celery.schedules import BaseSchedule

from platform import clock
from platform.schedules.conductor import Conductor
from platform.schedules.definition import Definition
from platform.schedules.election import LOOK_S, schedulers
from platform.schedules.firing import Firing
from platform.schedules.missed import Plan
from platform.schedules.register import Register
from platform.schedules.schedule import Schedule
from tests.integration.schedules.conftest import jobs
from tests.waiting import eventually

New = Callable[..., Schedule]
Forward = Callable[[float], None]
MakeScheduler = Callable[..., Conductor]


def term_lost(register: Register) -> None:
    """As when the lease ran out while its holder was paused."""
    register.client.delete(f"{register.prefix}schedules:acting")


def test_of_two_schedulers_one_acts(new: New, scheduler: MakeScheduler, forward: Forward, register: Register) -> None:
    new()
    first, second = scheduler(), scheduler()
    first.step()
    assert second.step() == LOOK_S
    forward(61)
    assert second.step() == LOOK_S
    assert jobs() == []
    first.step()
    second.step()
    assert len(jobs()) == 1
    assert [one.acting for one in schedulers(register)].count(True) == 1


def test_another_acts_once_the_lease_of_one_that_died_is_over(scheduler: MakeScheduler, register: Register) -> None:
    first, second = scheduler(), scheduler()
    first.step()
    terms = [first.candidacy.term]

    def has_taken_over() -> bool:
        second.candidacy._ask_at = 0.0
        second.step()
        return bool(second.candidacy.term)

    assert not has_taken_over()
    eventually(has_taken_over, 5)
    terms.append(second.candidacy.term)
    assert [term.split(" ")[0] for term in terms] == ["1", "2"]


def test_one_that_resigns_lets_another_act_at_once(scheduler: MakeScheduler, register: Register) -> None:
    first, second = scheduler(), scheduler()
    first.step()
    first.resign()
    assert (second.step() < LOOK_S, len(schedulers(register))) == (True, 1)


def test_one_that_was_paused_does_nothing_when_it_wakes(
    new: New, scheduler: MakeScheduler, forward: Forward, register: Register
) -> None:
    new(missed="all")
    paused, other = scheduler(), scheduler()
    paused.step()
    term_lost(register)
    other.step()
    forward(61)
    assert paused.candidacy.is_acting()  # so it believes, until it asks again
    paused.step()
    assert (jobs(), paused.candidacy.term) == ([], "")
    other.step()
    assert len(jobs()) == 1


def test_a_run_prepared_in_an_earlier_term_is_refused(
    new: New, scheduler: MakeScheduler, app: Celery, register: Register
) -> None:
    made = new()
    before, after = scheduler(), scheduler()
    before.step()
    firing = Firing(register, made, Plan(made.next_ms, None, 0), before.candidacy.term)
    term_lost(register)
    after.step()
    assert firing.publish(app).verdict == "deposed"
    assert (jobs(), register.get(made.id).next_ms) == ([], made.next_ms)


def test_the_same_run_is_one_job_however_often_it_is_handed_out(
    new: New, scheduler: MakeScheduler, app: Celery, register: Register
) -> None:
    made, acting = new(), scheduler()
    acting.step()
    plan = Plan(made.next_ms, (made.next_ms or 0) + 60_000, 0)
    verdicts = [Firing(register, made, plan, acting.candidacy.term).publish(app) for _ in range(2)]
    assert [outcome.verdict for outcome in verdicts] == ["fired", "changed"]
    assert len({outcome.job_id for outcome in verdicts}) == len(jobs()) == 1


def test_a_run_of_a_schedule_that_was_changed_or_removed_meanwhile_is_refused(
    new: New, scheduler: MakeScheduler, app: Celery, register: Register
) -> None:
    made, acting = new(), scheduler()
    acting.step()
    plan = Plan(made.next_ms, None, 0)
    changed = register.change(made, made.definition.changed(clock.now_ms(), priority=1))
    assert Firing(register, made, plan, acting.candidacy.term).publish(app).verdict == "changed"
    paused = register.pause(changed)
    assert Firing(register, changed, plan, acting.candidacy.term).publish(app).verdict == "changed"
    register.remove(paused)
    assert Firing(register, changed, plan, acting.candidacy.term).publish(app).verdict == "gone"
    assert jobs() == []


def test_the_schedules_of_modules_are_those_of_the_one_that_acts(
    scheduler: MakeScheduler, forward: Forward, register: Register, app: Celery
) -> None:
    task = {"task": "tasks.files.digest", "args": ("/there",)}
    entries = {"often": {**task, "schedule": 60.0, "options": {"queue": "batch"}}, "old": {**task, "schedule": 60.0}}
    acting = scheduler(entries)
    acting.step()
    kept = {one.definition.name: one for one in register.page().items}
    assert set(kept) == {"often", "old"}
    register.pause(kept["old"])
    forward(61)
    acting.step()
    (job,) = jobs()
    assert (job.queue, job.owner) == ("batch", None)
    acting.resign()
    scheduler(entries).step()
    again = {one.definition.name: one for one in register.page().items}
    assert (again["old"].is_paused, again["often"].next_ms) == (True, register.get(kept["often"].id).next_ms)
    term_lost(register)
    scheduler({"often": {**task, "schedule": 3600.0}}).step()
    (left,) = register.page().items
    assert (left.definition.name, left.definition.every_s, left.runs) == ("often", 3600.0, 1)


def test_a_schedule_of_a_module_that_was_due_meanwhile_runs_once(
    scheduler: MakeScheduler, forward: Forward, register: Register
) -> None:
    entries = {"often": {"task": "tasks.files.digest", "args": ("/there",), "schedule": 60.0}}
    first = scheduler(entries)
    first.step()
    first.resign()
    forward(3600)
    scheduler(entries).step()
    assert len(jobs()) == 1


def test_a_schedule_object_that_has_no_other_form_is_asked_as_beat_asks_it(
    scheduler: MakeScheduler, register: Register
) -> None:
    class Fixed(BaseSchedule):
        is_it = False

        def is_due(self, last_run_at: object) -> tuple[bool, float]:
            return self.is_it, 0.05

    when = Fixed()
    acting = scheduler({"odd": {"task": "tasks.files.digest", "args": ("/there",), "schedule": when}})

    def steps(made: int) -> bool:
        acting.step()
        return len(jobs()) == made

    acting.step()
    (kept,) = register.page().items
    assert (kept.definition.cron, kept.definition.every_s) == (None, None)
    eventually(lambda: acting.step() >= 0 and register.get(kept.id).next_ms != kept.next_ms)
    assert jobs() == []
    when.is_it = True
    eventually(lambda: steps(1))


def test_a_definition_is_kept_whole(new: New, register: Register) -> None:
    made = new(kwargs={"a": [None, "ü"]}, cron="*/5 * * * *", timezone="Europe/Berlin")
    assert isinstance(register.get(made.id).definition, Definition)
    assert register.get(made.id) == made
