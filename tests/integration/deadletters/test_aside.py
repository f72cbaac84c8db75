"""What the leases put aside becomes letters: each entry one, whoever takes it and whoever dies meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from platform.deadletters import aside
from platform.deadletters.aside import take_aside
from platform.deadletters.letter import Letter, LetterState
from platform.deadletters.register import DeadLetters, dead_letters
from platform.deadletters.replaying import replay
from platform.jobs.ledger import ledger
from platform.leases.lease import Lease, rescue_all
from platform.leases.scripts import run
from tasks import app
from tests.integration.conftest import SAMPLES
from tests.integration.leases.test_rescue import ENVELOPE, HEADERS, POISON
from tests.processes import Worker
from tests.waiting import eventually

PREFIX = "{platform}:queue:"
ON_REDIS = not os.environ.get("TEST_BROKER_URL", "").startswith("amqp")

pytestmark = pytest.mark.skipif(not ON_REDIS, reason="RabbitMQ has no leases")


@pytest.fixture
def start(worker: Callable[..., Worker], tmp_path: Path) -> Callable[..., Worker]:
    shutil.copy(SAMPLES / "shop.py", tmp_path)
    return lambda **more: worker(imports="shop", folder=tmp_path, **more)


def put_aside(client: redis.Redis, *messages: bytes, queue: str = "offload") -> None:
    client.rpush(f"{PREFIX}undecodable", *(queue.encode() + b"\n" + message for message in messages))


def all_of(letters: DeadLetters) -> list[Letter]:
    return list(letters.list(limit=500).items)


def lying(client: redis.Redis) -> int:
    return client.llen(f"{PREFIX}undecodable") + client.llen(f"{PREFIX}crashed") + client.hlen(f"{PREFIX}aside")


def test_bytes_that_are_no_message_become_letters_with_the_same_bytes(
    letters: DeadLetters, client: redis.Redis
) -> None:
    garbage = [b"", b"\xff\xfe", b"7", b"two\nlines\n", b"{}", b"7"]
    put_aside(client, *garbage, queue="batch")
    assert take_aside() == len(garbage)
    found = all_of(letters)
    assert sorted(letter.message for letter in found) == sorted(garbage)
    assert {(letter.reason, letter.queue, letter.job_id) for letter in found} == {("undecodable", "batch", None)}
    assert all(letter.error["type"] == "Undecodable" and letter.args == [] for letter in found)
    assert lying(client) == 0
    assert take_aside() == 0


def test_a_message_with_an_id_is_its_jobs_letter_and_the_job_fails(letters: DeadLetters, client: redis.Redis) -> None:
    odd = ENVELOPE | {"headers": HEADERS | {"id": "odd", "timelimit": "x", "owner": "ann"}}
    opaque = ENVELOPE | {"headers": HEADERS | {"id": "opaque"}, "body": "not base64"}
    put_aside(client, json.dumps(odd).encode(), json.dumps(opaque).encode())
    take_aside()
    by_job = {letter.job_id: letter for letter in all_of(letters)}
    assert (by_job["odd"].reason, by_job["odd"].args, by_job["odd"].owner) == ("invalid", [1, 2], "ann")
    assert by_job["odd"].error["message"] == "its headers are not those of a task's message"
    assert by_job["opaque"].reason == "undecodable"
    for job_id in ("odd", "opaque"):
        assert (ledger().get(job_id).state, ledger().get(job_id).task) == ("failed", "shop.add")


def test_poison_becomes_a_letter_with_the_deaths_it_caused(letters: DeadLetters, client: redis.Redis) -> None:
    job_id = app.send_task("shop.add", (1, 2), priority=9).id
    lease = Lease(client, PREFIX, "dead-worker", 1)
    text = client.rpop(f"{PREFIX}offload")
    client.sadd(f"{PREFIX}leases", lease.name)
    client.hset(f"{PREFIX}held:{lease.name}", "dead-worker/1.1", b"{platform}:queue:offload\x06\x160\n2\n" + text)
    assert rescue_all(client, PREFIX, 3) == 1
    assert take_aside() == 1
    (letter,) = all_of(letters)
    assert (letter.reason, letter.queue, letter.job_id, letter.attempts, letter.evidence) == (
        "worker_lost", "offload", job_id, 3, {"deaths": 3},
    )  # fmt: skip
    assert letter.message == text
    job = ledger().get(job_id)
    assert (job.state, job.dead_letter_id) == ("failed", letter.dead_letter_id)
    assert job.error == {"type": "WorkerLost", "message": "3 workers died while they held it"}


def test_a_program_that_dies_between_letter_and_broker_loses_and_doubles_nothing(
    letters: DeadLetters, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_aside(client, b"a", b"b")
    real = aside.broker_client()

    class DiesOnRemoving:
        def __getattr__(self, name: str) -> object:
            if name == "hdel":
                raise redis.ConnectionError("gone")
            return getattr(real, name)

    with monkeypatch.context() as patch:
        patch.setattr(aside, "run", lambda _, *args, **more: run(real, *args, **more))
        patch.setattr(aside, "broker_client", DiesOnRemoving)
        with pytest.raises(redis.ConnectionError):
            take_aside()
    assert letters.list().total == 1
    assert lying(client) == 2
    (replayed,) = all_of(letters)
    replay(replayed.dead_letter_id, "ann")
    take_aside()
    assert (letters.list().total, letters.list(state=LetterState.REPLAYED).total, lying(client)) == (1, 1, 0)


def test_many_workers_at_once_make_one_letter_of_each(letters: DeadLetters, client: redis.Redis) -> None:
    put_aside(client, *(b"%d" % number for number in range(400)))
    dead_letters()
    threads = [threading.Thread(target=take_aside) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (letters.list().total, lying(client)) == (400, 0)


def test_every_malformed_message_ends_as_a_letter_and_the_worker_goes_on(
    letters: DeadLetters, client: redis.Redis, start: Callable[..., Worker]
) -> None:
    start()
    texts = [json.dumps(one).encode() for one in POISON]
    for text in [*texts, b"garbage", b"7"]:
        client.lpush(f"{PREFIX}offload", text)
    good = app.send_task("shop.add", (1, 2)).id
    eventually(lambda: ledger().get(good).state == "completed", 20)
    wanted = {*texts, b"garbage", b"7"}
    eventually(lambda: wanted <= {letter.message for letter in all_of(letters)}, 20)
    assert lying(client) == 0


def test_garbage_that_is_replayed_comes_back_as_a_letter(
    letters: DeadLetters, client: redis.Redis, start: Callable[..., Worker]
) -> None:
    put_aside(client, b"garbage")
    take_aside()
    (letter,) = all_of(letters)
    replay(letter.dead_letter_id, "ann")
    start()
    eventually(lambda: letters.list().total == 1, 20)
    assert all_of(letters)[0].message == b"garbage"
