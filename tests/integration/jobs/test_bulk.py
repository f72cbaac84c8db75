"""The one script call for many new jobs leaves what as many calls alone would."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from platform.bulk.batch import Batch, kind_of
from platform.bulk.flight import Flight
from platform.bulk.report import ChunkFailed
from platform.delayed.schedule import Schedule
from platform.envelope import Envelope
from platform.jobs.facts import NewJob
from platform.jobs.ledger import Ledger
from platform.queueing import place
from platform.unique import Lock

AT_MS = 1_800_000_000_000
NAMES = [f"j{number:03}" for number in range(120)]


@pytest.fixture(autouse=True)
def one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: AT_MS * 1_000_000)


def new(job_id: str, **more: Any) -> NewJob:
    return NewJob(**{"job_id": job_id, "task": "t", "queue": "offload", "priority": 5, "owner": "ann"} | more)


def envelope(job_id: str) -> Envelope:
    return Envelope(job_id.encode(), {"id": job_id}, "x", "utf-8", {"priority": 5}, "offload")


def batch_of(*jobs: NewJob, lock: str = "", is_strict: bool = False) -> Batch:
    batch, kinds = Batch(), {}
    for index, job in enumerate(jobs):
        made = kind_of(job, "offload", job.priority, AT_MS, job.ready_at_ms is not None)
        kind = kinds.setdefault(repr(made), len(kinds) + 1)
        if kind > len(batch.kinds):
            batch.add_kind(made)
        batch.add(index, kind, job.job_id, f"message of {job.job_id}")
        if job.lock:
            batch.lock_last(job, job.lock.as_text(lock or "refuse"), is_strict)
    return batch


def flown(ledger: Ledger, batch: Batch) -> list[tuple[int, str, str]]:
    flight = Flight(ledger, batch)
    flight.start()
    return flight.land()


def everything(client: redis.Redis) -> dict[str, Any]:
    ask = {"hash": client.hgetall, "list": lambda key: client.lrange(key, 0, -1), "string": client.get}
    rows = lambda key: client.zrange(key, 0, -1, withscores=True)  # noqa: E731
    return {key: (ask.get(client.type(key), rows)(key), client.ttl(key) > 0) for key in client.scan_iter()}


@pytest.fixture
def heard(client: redis.Redis) -> Iterator[redis.client.PubSub]:
    with client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.psubscribe("*job:*")
        channel.get_message(timeout=1)
        yield channel


def messages(channel: redis.client.PubSub) -> list[tuple[str, str]]:
    found = []
    while message := channel.get_message(timeout=0.2):
        found.append((message["channel"], message["data"]))
    return found


@pytest.mark.parametrize(
    "more",
    [{}, {"owner": "", "app_id": "x", "parent_id": "p", "max_retries": None}, {"priority": 9}, {"retries": 2}],
    ids=str,
)
def test_records_indexes_messages_and_bells_are_those_of_single_calls(
    more: dict[str, Any], ledger: Ledger, client: redis.Redis, heard: redis.client.PubSub
) -> None:
    jobs = [new(name, **more) for name in NAMES]
    queue_list, bell = place.lists("offload")[jobs[0].priority], place.bell("offload")
    for job in jobs:
        ledger.submit(client, queue_list, bell, f"message of {job.job_id}", job)
    alone, told = everything(client), messages(heard)
    client.flushall()
    assert flown(ledger, batch_of(*jobs)) == []
    assert everything(client) == alone
    assert messages(heard) == told


def test_whoever_follows_a_job_before_there_is_one_hears_of_it(ledger: Ledger, client: redis.Redis) -> None:
    with client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe(ledger.channel("j007"))
        channel.get_message(timeout=1)
        flown(ledger, batch_of(*(new(name) for name in NAMES)))
        assert messages(channel) == [(ledger.channel("j007"), "pending")]


def test_jobs_of_several_kinds_keep_their_order(ledger: Ledger, client: redis.Redis) -> None:
    jobs = [new(name, task=f"t{index % 3}") for index, name in enumerate(NAMES)]
    flown(ledger, batch_of(*jobs))
    assert client.lrange(place.lists("offload")[5], 0, -1) == [f"message of {name}" for name in reversed(NAMES)]
    assert ledger.list(task="t1").total == 40


def test_a_delayed_job_is_in_the_schedule_as_by_itself(ledger: Ledger, client: redis.Redis) -> None:
    jobs = [new(name, ready_at_ms=AT_MS + 1000) for name in NAMES[:3]]
    for job in jobs:
        Schedule(ledger).submit(job, envelope(job.job_id))
    alone = everything(client)
    client.flushall()
    flown(ledger, batch_of(*jobs))
    ours = everything(client)
    assert ours.keys() == alone.keys()
    texts = f"{ledger.prefix}delayed:messages"
    assert {key: ours[key] for key in ours.keys() - {texts}} == {key: alone[key] for key in alone.keys() - {texts}}
    assert ours[texts][0]["j001"] == "offload\n5\n\nmessage of j001"


def test_who_is_known_is_not_submitted_again_and_the_others_are(ledger: Ledger, client: redis.Redis) -> None:
    flown(ledger, batch_of(new("a"), new("b")))
    ledger.cancel("b")
    before = everything(client)[ledger.channel("a")]
    assert flown(ledger, batch_of(new("a"), new("b"), new("c"), new("c"))) == [
        (0, "kept", "pending"),
        (1, "final", "cancelled"),
        (3, "kept", "pending"),
    ]
    assert client.lrange(place.lists("offload")[5], 0, -1) == [f"message of {name}" for name in "cba"]
    assert everything(client)[ledger.channel("a")] == before


def test_a_retry_in_between_is_one(ledger: Ledger, client: redis.Redis) -> None:
    flown(ledger, batch_of(new("a"), new("b")))
    assert flown(ledger, batch_of(new("a", retries=1), new("c"))) == [(0, "updated", "retrying")]
    assert client.lrange(place.lists("offload")[5], 0, -1)[:2] == ["message of c", "message of a"]
    assert ledger.get("a").state == "retrying"


def test_another_kind_of_key_refuses_all(ledger: Ledger, client: redis.Redis) -> None:
    client.set(ledger.channel("b"), "no record")
    before = everything(client)
    with pytest.raises(ChunkFailed) as failed:
        flown(ledger, batch_of(new("a"), new("b")))
    assert (list(failed.value.refused), everything(client)) == (["a", "b"], before)


def test_a_unique_job_stands_as_one_submitted_alone(ledger: Ledger, client: redis.Redis) -> None:
    job = new("a", lock=Lock("hash", "done"))
    ledger.submit(client, place.lists("offload")[5], place.bell("offload"), "message of a", job)
    alone = everything(client)
    client.flushall()
    flown(ledger, batch_of(job))
    assert everything(client) == alone


def test_of_equal_unique_jobs_the_first_is_accepted(ledger: Ledger) -> None:
    jobs = [new(name, lock=Lock("hash", "done")) for name in "abc"]
    assert flown(ledger, batch_of(*jobs)) == [(1, "taken", "a"), (2, "taken", "a")]
    assert ledger.list().total == 1


@pytest.mark.parametrize("standing", [[], ["a"]])
def test_a_strict_one_refuses_all(ledger: Ledger, client: redis.Redis, standing: list[str]) -> None:
    jobs = [new(name, lock=Lock("hash", "done")) for name in "abc"]
    if standing:
        flown(ledger, batch_of(jobs[0]))
    before = everything(client)
    with pytest.raises(ChunkFailed) as failed:
        flown(ledger, batch_of(*jobs, is_strict=True))
    assert (getattr(failed.value.__cause__, "job_id", ""), everything(client)) == ("a", before)


def test_one_that_is_repeated_does_not_refuse_itself(ledger: Ledger) -> None:
    batch = batch_of(new("a", lock=Lock("hash", "done")), is_strict=True)
    assert (flown(ledger, batch), flown(ledger, batch)) == ([], [(0, "kept", "pending")])


def test_more_than_one_command_takes_are_written_all_the_same(ledger: Ledger, client: redis.Redis) -> None:
    flown(ledger, batch_of(*(new(f"n{number}") for number in range(10_000))))
    assert (ledger.list().total, client.llen(place.lists("offload")[5])) == (10_000, 10_000)
    assert client.llen(place.bell("offload")) == 64


def test_a_forgotten_script_is_sent_again(ledger: Ledger, client: redis.Redis) -> None:
    client.script_flush()
    assert flown(ledger, batch_of(new("a"))) == []
    assert ledger.get("a").state == "pending"


def test_a_connection_lost_meanwhile_is_made_again(ledger: Ledger, client: redis.Redis) -> None:
    flight = Flight(ledger, batch_of(new("a"), new("b")))
    flight.start()
    flight._connection._sock.close()
    assert {verdict for _, verdict, _ in flight.land()} <= {"kept"}
    assert client.llen(place.lists("offload")[5]) == 2
