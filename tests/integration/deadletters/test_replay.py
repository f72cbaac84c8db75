"""Replay: the original message runs again, on a real worker and on every broker."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from platform import serialization
from platform.deadletters import broker, replaying
from platform.deadletters.letter import NotDead, NotEditable, NotReplayable, Reason, UnknownLetter
from platform.deadletters.register import DeadLetters, Death, Filter, Parked, dead_letters
from platform.deadletters.replaying import ReplayOfMany, replay
from platform.endpoints import records_are_beside_queues
from platform.errors import BrokerUnavailable, UnknownJob
from platform.jobs.ledger import ledger
from platform.jobs.states import State
from tasks import app
from tests.integration.conftest import SAMPLES
from tests.integration.deadletters.conftest import Sent, bound, taken
from tests.processes import Worker
from tests.waiting import eventually

BY = "ann@example.com"


@pytest.fixture
def start(worker: Callable[..., Worker], tmp_path: Path) -> Callable[..., Worker]:
    shutil.copy(SAMPLES / "shop.py", tmp_path)
    return lambda **more: worker(imports="shop", folder=tmp_path, **more)


@pytest.fixture
def park(letters: DeadLetters) -> Callable[..., str]:
    def make(death: Death) -> str:
        parked = letters.park(death)
        assert isinstance(parked, Parked)
        return parked.dead_letter_id

    return make


def ended(job_id: str) -> State:
    """A job's outcome; a chain's later member is not known from the start."""
    return eventually(lambda: [job.state for job in ledger().get_many([job_id]) if job.is_final], 30)[0]


def test_a_replayed_letter_runs_on_a_real_worker_with_everything_it_had(
    send: Callable[..., Sent], park: Callable[..., str], start: Callable[..., Worker]
) -> None:
    sent = send("shop.add", 20, 22, priority=9, headers={"owner": "ann", "own": "kept"})
    letter_id = park(sent.death())
    assert ledger().get(sent.job_id).state == "failed"
    letter = replay(letter_id, BY)
    job = ledger().get(sent.job_id)
    assert (letter.state, letter.replayed) == ("replayed", 1)
    assert (job.state, job.finished_at, job.dead_letter_id, job.priority) == ("pending", None, letter_id, 9)
    assert job.error == {"type": "ValueError", "message": "no"}
    start()
    assert ended(sent.job_id) == "completed"
    job = ledger().get(sent.job_id)
    assert (job.result, job.error, job.owner) == (42, None, "ann")


def test_the_message_is_the_original_with_a_fresh_retry_count(
    send: Callable[..., Sent], park: Callable[..., str]
) -> None:
    sent = send("shop.add", 1, 2, queue="batch", priority=7, headers={"own": "kept"}, expires=900)
    retried = sent.envelope.with_headers(retries=3, eta="2030-01-01T00:00:00+00:00")
    replay(park(Sent(sent.job_id, retried).death()), BY)
    again = taken("batch")
    assert again.body == sent.envelope.body
    assert again.priority == 7
    fresh = {"retries": 0, "eta": None, "expires": None, "replays": 1}
    assert again.headers == sent.envelope.headers | fresh
    assert "expiration" not in again.properties


def test_a_chain_goes_on_after_a_replay(
    send: Callable[..., Sent], park: Callable[..., str], start: Callable[..., Worker]
) -> None:
    from celery import chain

    with bound("offload"):
        result = chain(app.signature("shop.add", (1, 2)), app.signature("shop.add", (10,))).apply_async()
    first = Sent(result.parent.id, taken("offload"))
    letter_id = park(first.death())
    dead_letters().edit(letter_id, BY, args=[5, 6])
    replay(letter_id, BY)
    start()
    assert ended(result.id) == "completed"
    assert ledger().get(result.id).result == 21


def test_dying_again_updates_the_same_letter_and_keeps_its_history(
    letters: DeadLetters, send: Callable[..., Sent], park: Callable[..., str]
) -> None:
    sent = send("shop.add", 1, 2)
    letter_id = park(sent.death())
    first = letters.get(letter_id)
    replay(letter_id, BY)
    again = Sent(sent.job_id, taken("offload"))
    assert park(again.death(Reason.TIME_LIMIT, error={"type": "TimeLimit", "message": "60 s"})) == letter_id
    second = letters.get(letter_id)
    assert (second.state, second.reason, second.replayed, second.first_failed_at) == (
        "dead", "time_limit", 1, first.first_failed_at,
    )  # fmt: skip
    history = letters.history(second)
    assert [(event["event"], event.get("by"), event.get("reason")) for event in history] == [
        ("died", None, "retries_exhausted"), ("replayed", BY, None), ("died", None, "time_limit"),
    ]  # fmt: skip
    assert history[0]["error"] == {"type": "ValueError", "message": "no"}
    assert {k: v for k, v in letters.counts().items() if v} == {("offload", "time_limit"): 1}
    assert ledger().get(sent.job_id).state == "failed"


def test_attempts_are_counted_over_replays(
    letters: DeadLetters, send: Callable[..., Sent], park: Callable[..., str], start: Callable[..., Worker]
) -> None:
    sent = send("shop.broken")
    replay(letter_id := park(sent.death(attempts=4)), BY)
    start()
    assert ended(sent.job_id) == "failed"
    letters.park(sent.death())
    assert letters.get(letter_id).attempts == ledger().get(sent.job_id).attempts


def test_a_letter_that_is_not_dead_is_not_replayed(
    letters: DeadLetters, send: Callable[..., Sent], park: Callable[..., str]
) -> None:
    letter_id = park(send("shop.add", 1, 2).death())
    replay(letter_id, BY)
    for act in (lambda: replay(letter_id, BY), lambda: letters.discard(letter_id, BY)):
        with pytest.raises(NotDead, match="is replayed already"):
            act()
    with pytest.raises(NotDead):
        letters.edit(letter_id, BY, args=[])
    with pytest.raises(UnknownLetter):
        replay("x", BY)


def test_a_job_whose_record_was_forgotten_gets_a_new_one(
    send: Callable[..., Sent], park: Callable[..., str], client: redis.Redis, start: Callable[..., Worker]
) -> None:
    sent = send("shop.add", 1, 2, headers={"owner": "ann"})
    letter_id = park(sent.death(attempts=4, owner="ann", priority=8))
    for key in client.scan_iter("{platform}:job*"):
        client.delete(key)
    with pytest.raises(UnknownJob):
        ledger().get(sent.job_id)
    replay(letter_id, BY)
    job = ledger().get(sent.job_id)
    assert (job.state, job.task, job.owner, job.attempts, job.priority) == ("pending", "shop.add", "ann", 4, 8)
    assert [one.job_id for one in ledger().list(owner="ann", state=State.PENDING).items] == [sent.job_id]
    start()
    assert ended(sent.job_id) == "completed"


def test_edited_arguments_replace_the_old_ones_which_are_kept_beside(
    letters: DeadLetters, send: Callable[..., Sent], park: Callable[..., str]
) -> None:
    sent = send("shop.add", 1, kwargs={"b": 2})
    letter_id = park(sent.death())
    letters.edit(letter_id, BY, args=[10])
    letter = letters.edit(letter_id, BY, kwargs={"b": 5})
    assert (letter.args, letter.kwargs) == ([10], {"b": 5})
    shown = letter.in_full(list(letters.history(letter)))
    assert shown["original"] == {"args": [1], "kwargs": {"b": 2}}
    assert [event["event"] for event in shown["history"]] == ["died", "edited", "edited"]
    replay(letter_id, BY)
    body = serialization.decode(taken("offload").body)
    assert body[:2] == [[10], {"b": 5}]
    assert body[2] == serialization.decode(sent.envelope.body)[2]


def test_a_letter_changed_by_another_hand_meanwhile_is_read_again(
    letters: DeadLetters, send: Callable[..., Sent], park: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    letter_id = park(send("shop.add", 1, 2).death())
    made = broker.parcel_of

    def edited_meanwhile(letter: object) -> object:
        monkeypatch.setattr(broker, "parcel_of", made)
        parcel = made(letter)  # type: ignore[arg-type]
        letters.edit(letter_id, BY, args=[7, 8])
        return parcel

    monkeypatch.setattr(broker, "parcel_of", edited_meanwhile)
    replay(letter_id, BY)
    assert serialization.decode(taken("offload").body)[0] == [7, 8]


def test_a_pickled_body_can_be_replaced_and_runs(
    letters: DeadLetters, send: Callable[..., Sent], park: Callable[..., str], start: Callable[..., Worker]
) -> None:
    sent = send("shop.add", 1, 2)
    pickled = replace(sent.envelope, content_type="application/x-python-serialize", body=b"cos\nsystem\n.")
    letter_id = park(Sent(sent.job_id, pickled).death(Reason.UNDECODABLE))
    letters.edit(letter_id, BY, args=[3, 4])
    replay(letter_id, BY)
    start()
    assert ended(sent.job_id) == "completed"
    assert ledger().get(sent.job_id).result == 7


def test_a_queue_that_is_no_more_is_named(send: Callable[..., Sent], park: Callable[..., str]) -> None:
    letter_id = park(send("shop.add", 1, 2).death(queue="gone"))
    with pytest.raises(NotReplayable, match="there is no queue 'gone'"):
        replay(letter_id, BY)


def test_a_job_that_runs_again_by_itself_is_not_replayed(
    send: Callable[..., Sent], park: Callable[..., str], client: redis.Redis
) -> None:
    sent = send("shop.add", 1, 2)
    letter_id = park(sent.death())
    client.hset(f"{{platform}}:job:{sent.job_id}", "state", "running")
    with pytest.raises(NotReplayable, match=f"its job {sent.job_id} is running"):
        replay(letter_id, BY)


def test_a_publish_that_fails_leaves_the_letter_dead_and_the_job_failed(
    letters: DeadLetters, send: Callable[..., Sent], park: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the broker is not the record store; the address is of nobody."""
    sent = send("shop.add", 1, 2)
    letter_id = park(sent.death())
    before, finished_at = letters.get(letter_id), ledger().get(sent.job_id).finished_at
    monkeypatch.setattr(replaying.endpoints, "records_are_beside_queues", lambda: False)
    nobody = redis.Redis(port=1, socket_connect_timeout=0.2)
    monkeypatch.setattr(broker, "broker_client", lambda: nobody)
    monkeypatch.setattr(broker, "_publish_by_kombu", lambda envelope: nobody.ping())
    with pytest.raises(BrokerUnavailable, match="did not take the message"):
        replay(letter_id, BY)
    after = letters.get(letter_id)
    assert replace(after, revision=before.revision) == before
    assert (ledger().get(sent.job_id).state, ledger().get(sent.job_id).finished_at) == ("failed", finished_at)
    assert [event["event"] for event in letters.history(after)] == ["died"]
    assert letters.take_back_overdue() == 0


@pytest.mark.skipif(not records_are_beside_queues(), reason="so it is on RabbitMQ anyway")
def test_a_broker_apart_from_the_record_store_gets_the_message_too(
    letters: DeadLetters, send: Callable[..., Sent], park: Callable[..., str], monkeypatch: pytest.MonkeyPatch,
    client: redis.Redis,
) -> None:  # fmt: skip
    monkeypatch.setattr(replaying.endpoints, "records_are_beside_queues", lambda: False)
    sent = send("shop.add", 1, 2, queue="batch", priority=9)
    letter_id = park(sent.death())
    assert replay(letter_id, BY).state == "replayed"
    assert (client.llen("{platform}:queue:batch"), client.llen("{platform}:queue:bell:batch")) == (1, 2)
    assert client.zcard("{platform}:dead:publishing") == 0
    assert taken("batch").body == sent.envelope.body


def test_what_a_program_that_died_was_about_to_publish_is_taken_back(
    letters: DeadLetters, send: Callable[..., Sent], park: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = send("shop.add", 1, 2)
    letter_id = park(sent.death())
    assert letters.send_back(letters.get(letter_id), BY, "act", None)
    assert letters.take_back_overdue() == 0
    later = time.time_ns() // 1_000_000 + 61_000
    monkeypatch.setattr("platform.deadletters.register._now_ms", lambda: later)
    assert letters.take_back_overdue() == 1
    assert (letters.get(letter_id).state, ledger().get(sent.job_id).state) == ("dead", "failed")
    replay(letter_id, BY)


def test_a_job_that_has_begun_is_not_taken_back(
    letters: DeadLetters, send: Callable[..., Sent], park: Callable[..., str], start: Callable[..., Worker]
) -> None:
    sent = send("shop.add", 1, 2)
    letter_id = park(sent.death())
    replay(letter_id, BY)
    start()
    assert ended(sent.job_id) == "completed"
    assert letters.take_back(letter_id) is False
    assert letters.get(letter_id).state == "replayed"


def test_an_act_told_again_after_a_lost_answer_publishes_nothing_more(
    letters: DeadLetters, send: Callable[..., Sent], park: Callable[..., str], client: redis.Redis
) -> None:
    letter = letters.get(park(send("shop.add", 1, 2).death()))
    outgoing = broker.parcel_of(letter).outgoing()
    assert letters.send_back(letter, BY, "act", outgoing)
    assert letters.send_back(letter, BY, "act", outgoing)
    assert client.llen(outgoing.queue_list) == 1


@pytest.mark.skipif(not records_are_beside_queues(), reason="RabbitMQ's messages always have an envelope")
def test_bytes_that_are_no_message_go_back_as_they_came(
    park: Callable[..., str], client: redis.Redis, letters: DeadLetters
) -> None:
    garbage = b"\xff not a message \x00"
    letter_id = park(Death(Reason.UNDECODABLE, {"type": "Undecodable"}, garbage, queue="batch"))
    with pytest.raises(NotEditable, match="these bytes are no message"):
        letters.edit(letter_id, BY, args=[])
    replay(letter_id, BY)
    assert client.lrange("{platform}:queue:batch\x06\x164", 0, -1) == [garbage]
    assert client.llen("{platform}:queue:bell:batch") == 1


def test_discarding_keeps_the_letter_for_a_while_and_the_job_failed(
    letters: DeadLetters, send: Callable[..., Sent], park: Callable[..., str], monkeypatch: pytest.MonkeyPatch,
    client: redis.Redis,
) -> None:  # fmt: skip
    sent, kept = send("shop.add", 1, 2), park(send("shop.add", 3, 4).death())
    letter_id = park(sent.death())
    assert letters.discard(letter_id, BY).state == "discarded"
    assert ledger().get(sent.job_id).state == "failed"
    park(sent.death())  # a copy of its message: told again
    assert letters.get(letter_id).state == "discarded"
    now = time.time_ns() // 1_000_000
    monkeypatch.setattr("platform.deadletters.register._now_ms", lambda: now + 590_000)
    assert letters.sweep() == 0
    monkeypatch.setattr("platform.deadletters.register._now_ms", lambda: now + 100_000_000)
    assert letters.sweep() == 1
    assert client.exists(f"{{platform}}:dead:letter:{letter_id}", f"{{platform}}:dead:history:{letter_id}") == 0
    assert [one.dead_letter_id for one in letters.list().items] == [kept]
    assert letters.sweep() == 0


def fill(letters: DeadLetters, send: Callable[..., Sent], number: int) -> list[str]:
    """Jobs of two tasks that died; their ids."""
    model = send("shop.add", 1, 2)
    ids = []
    for i in range(number):
        envelope = model.envelope.with_headers(id=f"job-{i}", task=["shop.add", "shop.total"][i % 2])
        letters.park(Sent(f"job-{i}", envelope).death(task=envelope.headers["task"]))
        ids.append(f"job-{i}")
    return ids


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_all_that_match_are_replayed_oldest_first(letters: DeadLetters, send: Callable[..., Sent]) -> None:
    fill(letters, send, 1200)
    many = ReplayOfMany(Filter(task="shop.add", queue="offload"), now_ms(), BY)
    for _ in many.steps():
        pass
    assert (many.tally.replayed, many.tally.left_out) == (600, 0)
    assert letters.list().total == 600
    # Those of one millisecond have no order among them.
    died_at = [letters.get(ledger().get(taken("offload").headers["id"]).dead_letter_id).dead_at for _ in range(600)]
    assert died_at == sorted(died_at)


def test_going_on_after_a_break_does_the_rest_and_nothing_twice(
    letters: DeadLetters, send: Callable[..., Sent]
) -> None:
    ids = fill(letters, send, 10)
    until = now_ms()
    first = ReplayOfMany(Filter(), until, BY)
    steps = first.steps()
    while first.tally.replayed < 4:
        next(steps)
    died_again = Sent(ids[0], taken("offload"))
    eventually(lambda: now_ms() > until)
    letters.park(died_again.death())
    rest = ReplayOfMany(Filter(), until, BY)
    for _ in rest.steps():
        pass
    assert rest.tally.replayed == 6
    assert [one.job_id for one in letters.list().items] == [ids[0]]


def test_the_rate_is_kept(letters: DeadLetters, send: Callable[..., Sent]) -> None:
    fill(letters, send, 10)
    now = [100.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    many = ReplayOfMany(Filter(), now_ms(), BY, rate_per_s=2, clock=lambda: now[0], sleep=sleep)
    times = []
    for tally in many.steps():
        if tally.replayed > len(times):
            times.append(now[0] - 100)
    assert times == pytest.approx([i / 2 for i in range(10)])


def test_the_job_that_replays_many_gives_its_place_up_from_time_to_time(
    letters: DeadLetters, send: Callable[..., Sent], worker: Callable[..., Worker], tmp_path: Path
) -> None:
    shutil.copy(SAMPLES / "shop.py", tmp_path)
    (tmp_path / "hasty.py").write_text("import tasks.deadletters\ntasks.deadletters.SLICE_S = 0\n")
    fill(letters, send, 7)
    letters.park(Death(Reason.INVALID, {"type": "X"}, b"x", job_id="odd", queue="gone"))
    worker(imports="shop,hasty", folder=tmp_path)
    told = {"until_ms": now_ms(), "actor": BY, "matching": 8, "rate_per_s": 1000}
    job_id = app.send_task("tasks.deadletters.replay", kwargs=told).id
    assert ended(job_id) == "completed"
    job = ledger().get(job_id)
    assert (job.result["replayed"], job.result["left_out"]) == (7, 1)
    assert job.attempts > 7


def test_a_letter_that_cannot_go_back_holds_nobody_up(letters: DeadLetters, send: Callable[..., Sent]) -> None:
    fill(letters, send, 3)
    letters.park(Death(Reason.INVALID, {"type": "X"}, b"x", job_id="odd", queue="gone"))
    many = ReplayOfMany(Filter(), now_ms(), BY)
    for _ in many.steps():
        pass
    assert (many.tally.replayed, many.tally.left_out, letters.list().total) == (3, 1, 1)
    assert "no queue 'gone'" in many.tally.why


def test_history_is_bounded(letters: DeadLetters, send: Callable[..., Sent], park: Callable[..., str]) -> None:
    letter_id = park(send("shop.add", 1, 2).death())
    for number in range(120):
        letters.edit(letter_id, BY, args=[number, "x" * 20_000 if number == 119 else ""])
    history = letters.history(letters.get(letter_id))
    assert len(history) == 101
    assert len(json.dumps(history)) < 20_000
