"""Every transition of a record, the allowed and the refused ones."""

from __future__ import annotations

import time

import pytest
import redis

from platform.delayed.schedule import Schedule
from platform.errors import UnknownJob
from platform.jobs.facts import Delivery, NewJob, Refused, Started
from platform.jobs.ledger import Ledger
from platform.jobs.records import SHARED_SCRIPT
from platform.jobs.states import State
from platform.limits import Limit
from tests.waiting import eventually

ERROR = {"type": "ValueError", "message": "no"}


def new(job_id: str = "a", **more: object) -> NewJob:
    return NewJob(**{"job_id": job_id, "task": "t", "queue": "offload", "priority": 5, "owner": "ann"} | more)


def run(ledger: Ledger, job: NewJob | None = None) -> str:
    started = ledger.start(job or new())
    assert isinstance(started, Started)
    return started.attempt


def standing(ledger: Ledger, client: redis.Redis, job_id: str = "a") -> set[str]:
    """The states whose sets the job stands in, over all four kinds of index."""
    kinds = ["jobs", "jobs:queue:offload", "jobs:task:t", "jobs:owner:ann"]
    found = {(kind, s) for kind in kinds for s in State if client.zscore(f"{ledger.prefix}{kind}:{s}", job_id)}
    assert len({kind for kind, _ in found}) in (0, 4)
    return {state for _, state in found}


def test_a_job_goes_from_pending_over_running_to_completed(ledger: Ledger, client: redis.Redis) -> None:
    assert ledger.create(new()) == "created"
    assert standing(ledger, client) == {"pending"}
    attempt = run(ledger)
    assert standing(ledger, client) == {"running"}
    assert ledger.complete("a", b"[1]", attempt) is None
    assert standing(ledger, client) == {"completed"}
    job = ledger.get("a")
    assert (job.state, job.result, job.attempts, job.owner) == ("completed", [1], 1, "ann")


def test_a_record_and_its_message_are_written_together_or_not_at_all(ledger: Ledger, client: redis.Redis) -> None:
    def submit() -> str:
        return ledger.submit(client, "{x}list", "{x}bell", "message", new())

    assert (submit(), submit()) == ("created", "kept")
    assert (client.llen("{x}list"), ledger.get("a").state) == (1, "pending")  # a second message would be a second run
    ledger.complete("a", b"1", run(ledger))
    assert submit() == "final"
    assert client.llen("{x}list") == 1


def test_many_calls_in_one_leave_what_as_many_alone_would(ledger: Ledger, client: redis.Redis) -> None:
    """More than one script takes, the same job twice, and one refused among them."""
    names = [f"j{number}" for number in range(150)]
    ledger.submit_all([(new(name), "{x}list", "{x}bell", name) for name in [*names, "j7"]])
    assert client.lrange("{x}list", 0, -1) == names[::-1]
    started = ledger.start_all([new(name) for name in names])
    assert all(isinstance(one, Started) for one in started)
    outcomes = [(name, b"1", "1") for name in names]
    refused = ledger.complete_all([*outcomes, ("j7", b"2", "1")])
    assert refused == [None] * 150 + [Refused("completed")]
    assert all(standing(ledger, client, name) == {"completed"} for name in names)
    assert ledger.counts(["offload"])["offload"]["completed"] == 150
    assert ledger.get("j7").result == 1
    assert ledger.metrics("jobs") == {"t\x1foffload\x1fcompleted": "150"}
    tallies = client.keys(f"{ledger.prefix}queues:tally:*")  # of ten seconds each
    found = sorted(item for key in tallies for item in client.hgetall(key).items())
    assert found == [("offload\x1fcompleted", "150"), ("offload\x1fsubmitted", "150")]
    assert all(0 < client.ttl(key) <= 300 for key in tallies)
    assert client.zcard(f"{ledger.prefix}jobs:expiry") == 150


def test_a_record_that_is_none_stops_none_of_those_it_came_with(ledger: Ledger, client: redis.Redis) -> None:
    client.set(ledger.channel("b"), "no record")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        ledger.create_all([new("a"), new("b"), new("c")])
    assert standing(ledger, client, "a") == standing(ledger, client, "c") == {"pending"}


def test_what_is_not_known_says_so(ledger: Ledger) -> None:
    with pytest.raises(UnknownJob, match="no job 'x' is known"):
        ledger.get("x")
    with pytest.raises(UnknownJob):
        ledger.cancel("x")


def test_publishing_again_under_the_same_id_changes_nothing(ledger: Ledger) -> None:
    ledger.create(new())
    assert ledger.create(new(priority=9)) == "kept"
    assert ledger.get("a").priority == 5


def test_a_second_completion_is_refused(ledger: Ledger) -> None:
    ledger.create(new())
    attempt = run(ledger)
    ledger.complete("a", b"1", attempt)
    assert ledger.complete("a", b"2", attempt) == Refused("completed")
    assert ledger.fail("a", ERROR, attempt) == Refused("completed")
    assert ledger.get("a").result == 1


def test_an_ended_job_does_not_start_again(ledger: Ledger) -> None:
    ledger.create(new())
    ledger.complete("a", b"1", run(ledger))
    assert ledger.start(new()) == Refused("completed")
    assert ledger.create(new()) == "final"


def test_a_redelivered_run_takes_over_and_the_earlier_one_writes_no_more(ledger: Ledger) -> None:
    ledger.create(new())
    first, second = run(ledger), run(ledger)
    assert ledger.complete("a", b"1", first) == Refused("running")
    assert ledger.progress("a", first, 1, 2, "") == Refused("")
    assert ledger.complete("a", b"2", second) is None
    assert (ledger.get("a").result, ledger.get("a").attempts) == (2, 2)


def test_a_retry_is_recorded_before_it_is_published_and_an_old_delivery_is_dropped(ledger: Ledger) -> None:
    ledger.create(new())
    attempt = run(ledger)
    assert ledger.create(new(retries=1)) == "updated"
    assert ledger.get("a").state == "retrying"
    assert ledger.retrying("a", ERROR, attempt) is None
    assert ledger.get("a").error == ERROR
    assert ledger.start(new()) == Refused("retrying")
    assert ledger.complete("a", b"1", run(ledger, new(retries=1))) is None
    assert (ledger.get("a").error, ledger.get("a").attempts) == (None, 2)


def test_a_late_report_of_a_retry_does_not_stop_the_run_that_began_since(ledger: Ledger) -> None:
    ledger.create(new())
    first = run(ledger)
    ledger.create(new(retries=1))
    run(ledger, new(retries=1))
    assert ledger.retrying("a", ERROR, first) == Refused("running")


def test_a_failed_publish_is_withdrawn_unless_a_worker_has_it(ledger: Ledger, client: redis.Redis) -> None:
    ledger.create(new())
    assert ledger.withdraw("a") is True
    assert list(client.scan_iter("*job*")) == []
    (tally,) = client.scan_iter("*queues:tally*")
    assert client.hgetall(tally) == {"offload\x1fsubmitted": "0"}
    ledger.create(new())
    run(ledger)
    assert ledger.withdraw("a") is False


def test_a_message_without_a_record_gets_one_when_it_starts(ledger: Ledger) -> None:
    run(ledger)
    assert (ledger.get("a").state, ledger.get("a").owner) == ("running", "ann")


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_is_asked(ledger: Ledger) -> None:
    ledger.create(new())
    assert ledger.cancel("a") == "cancelled"
    assert ledger.start(new()) == Refused("cancelled")
    assert ledger.cancel("a") == "final"
    ledger.create(new("b"))
    attempt = run(ledger, new("b"))
    assert ledger.cancel("b") == "asked"
    assert ledger.progress("b", attempt, 1, 2, "") == Started(attempt, is_cancel_requested=True)
    assert ledger.cancelled("b", attempt) is None


def test_a_scheduled_job_is_known_as_such(ledger: Ledger) -> None:
    ledger.create(new(ready_at_ms=int(time.time() * 1000) + 60_000))
    assert ledger.get("a").state == "scheduled"


def test_a_member_of_a_failed_chain_that_was_never_published_is_failed(ledger: Ledger) -> None:
    assert ledger.fail("a", ERROR, unpublished=new()) is None
    assert (ledger.get("a").state, ledger.get("a").attempts, ledger.get("a").task) == ("failed", 0, "t")
    assert ledger.fail("b", ERROR) == Refused("")


def test_a_known_jobs_facts_survive_a_failure_reported_without_them(ledger: Ledger) -> None:
    ledger.create(new(priority=8, app_id="acme"))
    ledger.fail("a", ERROR, unpublished=NewJob("a", "", "", 5))
    job = ledger.get("a")
    assert (job.task, job.queue, job.priority, job.app_id, job.owner) == ("t", "offload", 8, "acme", "ann")


def test_records_are_forgotten_when_their_outcomes_time_is_over(
    ledger: Ledger, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for job_id in ("a", "b", "c"):
        ledger.create(new(job_id))
    ledger.complete("a", b"1", run(ledger, new("a")))
    ledger.fail("b", ERROR, run(ledger, new("b")))
    now = time.time_ns() // 1_000_000
    monkeypatch.setattr("platform.jobs.ledger._now_ms", lambda: now + 59_000)
    assert ledger.sweep() == 0
    monkeypatch.setattr("platform.jobs.ledger._now_ms", lambda: now + 61_000)
    assert ledger.sweep() == 1
    assert standing(ledger, client, "a") == set()
    monkeypatch.setattr("platform.jobs.ledger._now_ms", lambda: now + 121_000)
    assert ledger.sweep() == 1
    assert [job.job_id for job in ledger.list().items] == ["c"]


def test_outcomes_and_times_are_counted_with_the_transition(ledger: Ledger) -> None:
    ledger.create(new())
    ledger.complete("a", b"1", run(ledger))
    assert ledger.metrics("jobs") == {"t\x1foffload\x1fcompleted": "1"}
    assert sum(int(n) for field, n in ledger.metrics("wait").items() if not field.endswith("sum")) == 1
    assert sum(int(n) for field, n in ledger.metrics("run").items() if not field.endswith("sum")) == 1


def test_a_record_with_odd_numbers_can_still_be_read(ledger: Ledger, client: redis.Redis) -> None:
    ledger.create(new(max_retries="x", priority=5.5))  # type: ignore[arg-type]
    assert (ledger.get("a").max_retries, ledger.get("a").priority) == (None, 5)


def test_a_new_state_is_announced_on_the_jobs_channel(ledger: Ledger, client: redis.Redis) -> None:
    with client.pubsub(ignore_subscribe_messages=True) as listening:
        listening.subscribe(ledger.channel("a"))
        ledger.create(new())
        ledger.complete("a", b"1", run(ledger))
        heard: list[str] = []
        while len(heard) < 3:
            message = listening.get_message(timeout=5)
            if message:
                heard.append(message["data"])
    assert heard == ["pending", "running", "completed"]


def run_by(ledger: Ledger, runner: str, redelivered: bool = False, hearts: str = "") -> Started | Refused:
    return ledger.start(new(delivery=Delivery("", "1", redelivered, runner, hearts)))


def revision(ledger: Ledger, job_id: str = "a") -> int:
    return ledger.get_with_revision(job_id)[1]


def test_every_announcement_makes_the_record_a_newer_one(ledger: Ledger, client: redis.Redis) -> None:
    seen = []
    with client.pubsub(ignore_subscribe_messages=True) as listening:
        listening.subscribe(ledger.channel("a"))
        ledger.create(new())
        seen.append(revision(ledger))
        attempt = run(ledger)
        seen.append(revision(ledger))
        ledger.progress("a", attempt, 1, 2, "half")
        seen.append(revision(ledger))
        ledger.cancel("a")
        seen.append(revision(ledger))
        ledger.create(new())  # known already: nothing changes
        seen.append(revision(ledger))
        ledger.complete("a", b"1", attempt)
        seen.append(revision(ledger))
        heard = [eventually(listening.get_message)["data"] for _ in range(5)]
    assert seen == [1, 2, 3, 4, 4, 5]
    assert heard == ["pending", "running", "running", "running", "completed"]


def test_what_is_announced_is_in_the_record_before_whoever_hears_it_can_read(ledger: Ledger) -> None:
    ledger.create_all([new("a"), new("b")])
    outcomes = [(name, b"1", run(ledger, new(name))) for name in ("a", "b")]
    ledger.complete_all(outcomes)
    for name in ("a", "b"):
        job, number = ledger.get_with_revision(name)
        assert (job.state, number, job) == ("completed", 3, ledger.get(name))


def test_a_record_of_before_there_were_revisions_is_older_than_any(ledger: Ledger, client: redis.Redis) -> None:
    ledger.create(new())
    client.hdel(ledger.channel("a"), "revision")
    assert revision(ledger) == 0
    run(ledger)
    assert revision(ledger) == 1
    with pytest.raises(UnknownJob):
        ledger.get_with_revision("x")


def test_the_revision_is_no_part_of_what_users_see(ledger: Ledger) -> None:
    ledger.create(new())
    assert "revision" not in ledger.get("a").as_dict()


def test_an_announcement_of_an_unknown_job_makes_no_record(ledger: Ledger, client: redis.Redis) -> None:
    client.eval(SHARED_SCRIPT + "announce(ARGV[1], ARGV[2], 'failed')", 0, ledger.prefix, "x")
    assert client.exists(ledger.channel("x")) == 0


def test_a_job_whose_process_died_waits_again_so_often_and_no_more(ledger: Ledger) -> None:
    ledger.create(new())
    for deaths in (1, 2):
        assert run_by(ledger, "w") != Refused("running")
        assert ledger.lost("a", "w") == ("again", deaths)
        assert ledger.get("a").state == "pending"
    run_by(ledger, "w")
    assert ledger.lost("a", "w") == ("enough", 3)
    assert ledger.get("a").state == "running"


def test_a_death_counts_only_for_the_worker_that_runs_the_job(ledger: Ledger) -> None:
    ledger.create(new())
    run_by(ledger, "w")
    assert ledger.lost("a", "another") == ("not ours", 0)
    ledger.fail("a", ERROR)
    assert ledger.lost("a", "w") == ("not ours", 0)


def test_a_job_whose_process_died_before_it_began_may_be_given_back(ledger: Ledger) -> None:
    ledger.create(new())
    assert ledger.lost("a", "w") == ("again", 1)
    assert ledger.get("a").state == "pending"
    assert run_by(ledger, "w") != Refused("running")
    assert ledger.lost("foreign", "w") == ("again", 0), "its publisher writes no records"


def test_a_try_that_is_over_is_not_given_back_beside_the_next(ledger: Ledger) -> None:
    ledger.create(new())
    run_by(ledger, "w")
    ledger.create(new(retries=1))
    assert ledger.lost("a", "w", retries=0) == ("not ours", 0)
    assert ledger.lost("a", "w", retries=1) == ("again", 1)
    assert ledger.get("a").state == "retrying"


def test_a_job_given_back_by_a_worker_that_stops_has_cost_nothing(ledger: Ledger) -> None:
    ledger.create(new())
    for _ in range(5):
        run_by(ledger, "w")
        assert ledger.returned("a", "w")
    assert ledger.get("a").state == "pending"
    assert not ledger.returned("a", "w")


def test_an_orphan_starts_again_until_it_has_cost_too_much(ledger: Ledger) -> None:
    ledger.create(new())
    run_by(ledger, "first")
    assert [isinstance(run_by(ledger, "next", redelivered=True), Started) for _ in range(3)] == [True, True, False]
    assert run_by(ledger, "next", redelivered=True) == Refused("crashed")


def test_a_copy_of_a_job_whose_worker_lives_does_not_start(ledger: Ledger, client: redis.Redis) -> None:
    hearts = f"{ledger.prefix}lease:"
    ledger.create(new())
    run_by(ledger, "alive", hearts=hearts)
    client.set(f"{hearts}alive", 1)
    assert run_by(ledger, "other", redelivered=True, hearts=hearts) == Refused("busy")
    client.delete(f"{hearts}alive")
    assert isinstance(run_by(ledger, "other", redelivered=True, hearts=hearts), Started)


def test_an_orphan_that_was_asked_to_stop_is_cancelled_instead_of_started(ledger: Ledger) -> None:
    ledger.create(new())
    run_by(ledger, "w")
    ledger.cancel("a")
    assert list(ledger.cancel_requests(["a", "b"])) == ["a"]
    assert run_by(ledger, "next", redelivered=True) == Refused("cancelled")
    assert (ledger.get("a").state, ledger.cancel_requests(["a"])) == ("cancelled", {})


def test_a_start_told_twice_is_one_start(ledger: Ledger) -> None:
    """The answer was lost on its way; the call is repeated with the same ticket."""
    ledger.create(new())
    arguments = ["a", 1, 0, ",pending,running,", "", "", 0, "w", "", 3, 1000, "ticket", 0]
    first, again = (ledger._call("start", *arguments) for _ in range(2))
    assert first == again == [1, 1]


# -- limits


def start_under(ledger: Ledger, job_id: str, *limits: Limit, **more: object) -> Started | Refused:
    return ledger.start(new(job_id, limits=limits, **more))


def test_no_more_run_at_once_than_their_limit_says_and_the_most_urgent_waits_first(ledger: Ledger) -> None:
    two = Limit("k", concurrency=2)
    assert all(isinstance(start_under(ledger, name, two), Started) for name in "ab")
    answer = start_under(ledger, "c", two, priority=3)
    assert isinstance(answer, Refused)
    assert (answer.state, answer.limit, ledger.get("c").state) == ("limited", "k", "pending")
    assert isinstance(start_under(ledger, "d", two, priority=9), Refused)
    assert ledger.client.zrange(f"{ledger.prefix}limit:k:waiting", 0, -1) == ["d", "c"]
    assert isinstance(start_under(ledger, "other", Limit("another", concurrency=1)), Started)
    ledger.complete("a", b"null")
    assert isinstance(start_under(ledger, "d", two, priority=9), Started)
    assert isinstance(start_under(ledger, "c", two, priority=3), Refused)


@pytest.mark.parametrize("end", ["complete", "fail", "retrying", "cancelled", "lost", "returned"])
def test_whatever_ends_a_run_frees_its_permit(ledger: Ledger, end: str) -> None:
    one = Limit("k", concurrency=1)
    ledger.start(new("a", limits=[one], delivery=Delivery("", "", True, "w")))
    assert isinstance(start_under(ledger, "b", one), Refused)
    arguments = {"complete": [b"null"], "fail": [ERROR], "retrying": [ERROR], "lost": ["w"], "returned": ["w"]}
    getattr(ledger, end)("a", *arguments.get(end, []))
    assert isinstance(start_under(ledger, "b", one), Started)


def test_a_permit_whose_holder_no_longer_runs_is_free(ledger: Ledger) -> None:
    one = Limit("k", concurrency=1)
    start_under(ledger, "a", one)
    ledger.client.delete(ledger.channel("a"))
    assert isinstance(start_under(ledger, "b", one), Refused)
    look(ledger)
    assert isinstance(start_under(ledger, "b", one), Started)


def test_the_orphan_of_a_dead_worker_keeps_its_own_permit(ledger: Ledger) -> None:
    one = Limit("k", concurrency=1)
    start_under(ledger, "a", one)
    again = ledger.start(new("a", limits=[one], delivery=Delivery("", "", True, "next")))
    assert isinstance(again, Started)
    assert isinstance(start_under(ledger, "b", one), Refused)


def test_over_a_rate_one_job_is_called_at_each_moment(ledger: Ledger) -> None:
    limit = Limit("k", interval_ms=100)
    assert isinstance(start_under(ledger, "a", limit), Started)
    assert [start_under(ledger, name, limit) for name in "bcd"] == [Refused("limited", "k")] * 3
    begun = time.monotonic()
    for name, others in (("b", "cd"), ("c", "d"), ("d", "")):
        eventually(lambda name=name: ledger.get(name).waiting_for is None or look(ledger), poll_s=0.01)
        assert all(ledger.get(other).waiting_for == "limit k" for other in others)
        assert isinstance(start_under(ledger, name, limit), Started)
    assert 0.25 < time.monotonic() - begun < 2


def test_nobody_overtakes_those_who_wait(ledger: Ledger) -> None:
    one = Limit("k", concurrency=1)
    for name in "abc":
        start_under(ledger, name, one)
    ledger.complete("a", b"null")  # b is called
    assert isinstance(start_under(ledger, "d", one), Refused)
    assert isinstance(start_under(ledger, "c", one), Refused)
    assert isinstance(start_under(ledger, "b", one), Started)


def test_a_called_job_that_ends_without_running_passes_its_turn_on(ledger: Ledger) -> None:
    one = Limit("k", concurrency=1)
    for name in "abc":
        start_under(ledger, name, one)
    ledger.complete("a", b"null")
    ledger.cancel("b")
    assert ledger.get("c").waiting_for is None
    assert isinstance(start_under(ledger, "c", one), Started)
    ledger.complete("c", b"null")
    assert left(ledger) == []


def test_a_called_job_that_does_not_come_is_overtaken(ledger: Ledger) -> None:
    one = Limit("k", concurrency=1)
    for name in "abc":
        start_under(ledger, name, one)
    ledger.complete("a", b"null")
    ledger.client.zincrby(f"{ledger.prefix}limit:k:called", -11_000, "b")  # as if called eleven seconds ago
    ledger.client.zadd(f"{ledger.prefix}limits:due", {"k": 0})
    look(ledger)
    assert ledger.get("c").waiting_for is None
    assert isinstance(start_under(ledger, "c", one), Started)
    assert isinstance(start_under(ledger, "b", one), Refused)
    ledger.complete("c", b"null")
    assert isinstance(start_under(ledger, "b", one), Started)


def test_a_waiting_job_that_is_cancelled_is_forgotten(ledger: Ledger) -> None:
    one = Limit("k", concurrency=1)
    for name in "ab":
        start_under(ledger, name, one)
    ledger.cancel("b")
    ledger.complete("a", b"null")
    assert left(ledger) == []


def test_the_orphan_whose_place_was_given_away_waits_again(ledger: Ledger) -> None:
    one = Limit("k", concurrency=1)
    ledger.start(new("a", limits=[one], delivery=Delivery("", "", True, "dead")))
    assert isinstance(start_under(ledger, "b", one), Refused)
    prefix = f"{ledger.prefix}queue:"
    ledger.client.set(f"{prefix}watch", int(time.time() * 1000) - 10_000)
    Schedule(ledger).call(prefix, 2_000, 10)  # no heartbeat of "dead"
    assert isinstance(start_under(ledger, "b", one), Started)
    again = new("a", limits=[one], delivery=Delivery("", "", True, "next"))
    assert [ledger.start(again) for _ in range(5)] == [Refused("limited", "k")] * 5
    assert (ledger.get("a").state, ledger.get("a").waiting_for) == ("pending", "limit k")
    ledger.complete("b", b"null")
    assert isinstance(ledger.start(again), Started)


def test_a_job_under_two_limits_waits_for_one_and_keeps_its_place_under_the_other(ledger: Ledger) -> None:
    one, two = Limit("one", concurrency=1), Limit("two", concurrency=1)
    assert isinstance(start_under(ledger, "x", two), Started)
    assert start_under(ledger, "a", one, two) == Refused("limited", "two")
    assert start_under(ledger, "b", one, two) == Refused("limited", "one")
    ledger.complete("x", b"null")
    assert isinstance(start_under(ledger, "a", one, two), Started)
    ledger.complete("a", b"null")
    assert isinstance(start_under(ledger, "b", one, two), Started)
    ledger.complete("b", b"null")
    assert left(ledger) == []


def look(ledger: Ledger) -> None:
    Schedule(ledger).call("", 0, 100)


def left(ledger: Ledger) -> list[str]:
    """What is kept of limits, but for a rate's next moments."""
    look(ledger)
    keys = ledger.client.scan_iter(f"{ledger.prefix}limit*")
    return sorted(key for key in keys if not key.endswith((":next", ":paced")))


def test_a_queues_limits_count_all_its_tasks(ledger: Ledger) -> None:
    ledger.client.hset(f"{ledger.prefix}queues:limits", "offload", "1 0")
    assert isinstance(start_under(ledger, "a"), Started)
    answer = start_under(ledger, "b", task="another")
    assert isinstance(answer, Refused)
    assert answer.limit == "queue:offload"
    assert isinstance(start_under(ledger, "c", queue="batch"), Started)
