"""The same items again are the same jobs: nothing is lost and nothing is there twice, whatever happened in between."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from platform.envelope import Envelope
from platform.jobs.ledger import Ledger
from tasks.bulk import BulkFailed, Submitted, submit_many
from tests import processes
from tests.integration.bulk.conftest import SAMPLES
from tests.integration.queueing.conftest import ON_RABBITMQ
from tests.samples import bulky
from tests.waiting import eventually

Take = Callable[[str], list[Envelope]]

#: Submits with a key until the server is killed, starts it again, and repeats.
KILLED = """
import json, os, pickle, signal
from tasks import app
from tasks.bulk import BulkFailed, submit_many
from platform import embedded
from platform.jobs.ledger import ledger
from platform.settings import settings
from tests.samples import bulky

def kill(submitted):
    if len(submitted) == 3000:
        os.kill(ledger().client.info("server")["process_id"], signal.SIGKILL)

def submit(**more):
    return submit_many(bulky.add, ((number,) for number in range(6000)), key="once", **more)

try:
    submit(on_progress=kill)
except BulkFailed as exc:
    failed = pickle.loads(pickle.dumps(exc))
told = [len(failed.submitted), len(failed.accepted), len(failed.doubtful), len(failed.refused)]
embedded.ensure_running(settings().data_dir)
known = [job is not None for job in ledger().get_many(list(failed.submitted))]
again = submit()
client = ledger().client
messages = client.lrange("{platform}:queue:offload\\x06\\x164", 0, -1)
ids = [json.loads(message)["headers"]["id"] for message in messages]
print(json.dumps({
    "told": told, "kept": len(known), "known": again.known, "messages": len(ids), "in_order": ids[::-1] == list(again),
    "records": ledger().list().total,
}))
"""


@contextmanager
def frozen(client: redis.Redis) -> Iterator[Callable[[], None]]:
    """Something to call that stops the server where it is; it goes on afterwards."""
    pid = int(client.info("server")["process_id"])
    try:
        yield lambda: os.kill(pid, signal.SIGSTOP)
    finally:
        os.kill(pid, signal.SIGCONT)


def ids_in(take: Take) -> list[str]:
    return [envelope.headers["id"] for envelope in take("offload")]


def numbers(count: int) -> Iterator[tuple[int]]:
    return ((number,) for number in range(count))


def test_a_key_makes_the_same_jobs_again(take: Take, records: Ledger) -> None:
    first = submit_many(bulky.add, numbers(25), key="import", chunk_size=10)
    again = submit_many(bulky.add, numbers(30), key="import", chunk_size=7)
    assert (list(again)[:25], first.known, again.known, len(again)) == (list(first), 0, 25, 30)
    assert records.list().total == 30
    if not ON_RABBITMQ:  # there it is published again, lest the first one was lost, and starts nothing
        assert ids_in(take) == list(again)


def test_jobs_with_ids_of_their_own_are_submitted_once(take: Take, records: Ledger) -> None:
    items = [{"args": [number], "task_id": f"j{number % 4}"} for number in range(6)]
    submitted = submit_many(bulky.add, items)
    assert (list(submitted), submitted.known) == (["j0", "j1", "j2", "j3", "j0", "j1"], 2)
    records.cancel("j2")
    assert submit_many(bulky.add, items, chunk_size=3).known == 6
    assert records.list().total == 4
    assert records.get("j2").state == "cancelled"


def test_an_id_may_be_any_text(records: Ledger, take: Take) -> None:
    odd = ['a"b', "50 %s", "ü\n", "{}"]
    submit_many(bulky.add, [{"args": [1], "task_id": name} for name in odd])
    assert sorted(ids_in(take)) == sorted(odd)
    assert {job.job_id for job in records.get_many(odd)} == set(odd)


def test_progress_is_told_after_each_chunk() -> None:
    seen: list[int] = []
    submitted = submit_many(bulky.add, numbers(25), chunk_size=10, on_progress=lambda so_far: seen.append(len(so_far)))
    assert (seen, len(list(submitted)), submitted[-1], len(set(submitted))) == (
        [10, 20, 25],
        25,
        list(submitted)[24],
        25,
    )


def test_nothing_is_submitted_of_nothing() -> None:
    submitted = submit_many(bulky.add, [])
    assert (len(submitted), list(submitted)) == (0, [])
    with pytest.raises(IndexError):
        submitted[0]


def test_a_server_that_is_silent_leaves_one_chunk_in_doubt(client: redis.Redis, take: Take, records: Ledger) -> None:
    with frozen(client) as freeze:

        def at_ten(so_far: Submitted) -> None:
            if len(so_far) == 10:
                freeze()

        with pytest.raises(BulkFailed, match="10 jobs were submitted, of 5 it is not known") as failed:
            submit_many(bulky.add, numbers(30), chunk_size=5, on_progress=at_ten)
    found, key = failed.value, failed.value.submitted.key
    again = submit_many(bulky.add, numbers(30), chunk_size=5, key=key)
    assert (list(found.submitted), list(found.doubtful)) == (list(again)[:10], list(again)[10:15])
    assert set(found.refused) <= set(list(again)[15:])
    assert records.list().total == 30
    if not ON_RABBITMQ:
        assert ids_in(take) == list(again)


def test_a_server_killed_in_the_middle_costs_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    env = processes.environment({"data_dir": tmp_path / "d"}) | {"PYTHONPATH": f"{processes.ROOT}:{SAMPLES}"}
    done = processes.run(sys.executable, "-c", KILLED, env=env)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    certain, accepted, doubtful, refused = found["told"]
    assert (certain, accepted, doubtful in (0, 250), doubtful + refused) == (3000, 0, True, 500)
    assert (found["kept"], found["messages"], found["records"]) == (3000, 6000, 6000)
    assert (found["in_order"], found["known"] in (3000, 3250)) == (True, True)


def test_a_full_server_takes_nothing_of_a_chunk(client: redis.Redis, records: Ledger, take: Take) -> None:
    def at_ten(so_far: Submitted) -> None:
        if len(so_far) == 10:
            client.config_set("maxmemory", 1)

    try:
        with pytest.raises(BulkFailed, match=r"^10 jobs were submitted.* 'maxmemory'") as failed:
            submit_many(bulky.add, numbers(30), chunk_size=5, on_progress=at_ten)
    finally:
        client.config_set("maxmemory", 0)
    assert (failed.value.doubtful if not ON_RABBITMQ else (), records.list().total) == ((), 10)
    assert len(ids_in(take)) == 10


@pytest.mark.skipif(ON_RABBITMQ, reason="there records are written first, one call for all")
def test_a_key_that_holds_no_record_refuses_its_whole_chunk(client: redis.Redis, records: Ledger, take: Take) -> None:
    client.set(records.channel("c"), "no record")
    items = [{"args": [1], "task_id": name} for name in "abcd"]
    with pytest.raises(BulkFailed, match="something else than a record for job 'c'") as failed:
        submit_many(bulky.add, items, chunk_size=2)
    assert (list(failed.value.submitted), failed.value.refused) == (["a", "b"], ("c", "d"))
    assert (records.list().total, ids_in(take)) == (2, ["a", "b"])


@pytest.mark.skipif(not ON_RABBITMQ, reason="queues of Redis are of one kind")
def test_a_queue_rabbitmq_refuses_stops_a_chunk_where_it_is(sender, take: Take, records: Ledger) -> None:
    """Before it: confirmed. After it: withdrawn."""
    queue = sender.amqp.queues["batch"]
    with sender.connection_for_write() as connection, connection.channel() as channel:
        queue(channel).delete()
        channel.queue_declare("batch", durable=True, auto_delete=False)
    items = [{"args": [1], "task_id": name, "queue": "batch" if name == "c" else "offload"} for name in "abcde"]
    with pytest.raises(BulkFailed, match="PLATFORM_QUEUE_TYPE") as failed:
        submit_many(bulky.add, items)
    assert (failed.value.accepted, failed.value.doubtful, failed.value.refused) == (("a", "b"), ("c",), ("d", "e"))
    assert {job.job_id for job in records.get_many(list("abcde"))} == {"a", "b"}
    with sender.connection_for_write() as connection, connection.channel() as channel:
        channel.queue_delete("batch")
        queue(channel).declare()
    submit_many(bulky.add, items)
    assert [envelope.headers["id"] for envelope in take("batch")] == ["c"]
    assert set(ids_in(take)) == set("abde")


def test_every_job_runs_once(worker: Callable[..., processes.Worker], records: Ledger) -> None:
    worker(imports="bulky", folder=SAMPLES, concurrency=2)
    submitted = submit_many(bulky.add, numbers(300), chunk_size=100)
    submit_many(bulky.add, numbers(300), chunk_size=100, key=submitted.key)
    eventually(lambda: records.counts([""])[""]["completed"] == 300, 60)
    jobs = records.get_many(list(submitted))
    assert [(job.result, job.attempts) for job in jobs] == [(number + 1, 1) for number in range(300)]


def test_a_job_may_submit_many_which_are_its_own(worker: Callable[..., processes.Worker], records: Ledger) -> None:
    worker(imports="bulky", folder=SAMPLES, concurrency=2)
    parent = bulky.spread.apply_async((20,), headers={"owner": "ann", "app_id": "x"})
    ids = parent.get(timeout=30)
    eventually(lambda: all(job.is_final for job in records.get_many(ids)), 30)
    jobs = records.get_many(ids)
    assert {(job.parent_id, job.owner, job.app_id, job.state) for job in jobs} == {(parent.id, "ann", "x", "completed")}
    assert len(jobs) == 20
