"""What is recorded as a living worker's and is not goes back to its queue; what it works on stays its own."""

from __future__ import annotations

import time
from collections.abc import Callable

import redis

from platform.jobs.ledger import ledger
from platform.leases import names
from platform.leases.lease import Lease
from platform.leases.strays import Strays
from tests.integration.leases.conftest import PREFIX
from tests.integration.leases.test_rescue import TTL_S, state, submit
from tests.integration.leases.test_rescue import start as start  # noqa: PLC0414
from tests.processes import Worker
from tests.waiting import eventually

QUEUES = "{platform}:queue:"


def hold(client: redis.Redis, lease: Lease, *tags: str) -> None:
    client.hset(names.held(PREFIX, lease.name), mapping={tag: f"{PREFIX}q\n\nmessage of {tag}" for tag in tags})


def waiting(client: redis.Redis) -> list[bytes]:
    return client.lrange(f"{PREFIX}q", 0, -1)


def test_what_stays_unknown_for_a_lease_is_given_back_once(
    new_lease: Callable[..., Lease], client: redis.Redis
) -> None:
    lease = new_lease(ttl_s=TTL_S)
    strays = Strays(lease, lambda: {"own"})
    hold(client, lease, "own", "stray")
    began = time.monotonic()
    eventually(lambda: strays.give_back() == 1, poll_s=TTL_S / 8)
    assert time.monotonic() - began >= TTL_S
    assert waiting(client) == [b"~0~message of stray"]
    assert client.hkeys(names.held(PREFIX, lease.name)) == [b"own"]
    assert strays.give_back() == 0


def test_what_becomes_known_meanwhile_stays(new_lease: Callable[..., Lease], client: redis.Redis) -> None:
    lease, known = new_lease(ttl_s=TTL_S), set()
    strays = Strays(lease, lambda: known)
    hold(client, lease, "late")
    strays.give_back()
    known.add("late")
    strays.give_back()
    known.clear()  # unknown again: its time begins anew
    began = time.monotonic()
    eventually(lambda: strays.give_back() == 1, poll_s=TTL_S / 8)
    assert time.monotonic() - began >= TTL_S


def test_nothing_is_given_back_while_it_cannot_be_told(new_lease: Callable[..., Lease], client: redis.Redis) -> None:
    lease = new_lease(ttl_s=TTL_S)
    strays = Strays(lease, lambda: None)
    hold(client, lease, "own")
    over = time.monotonic() + 1.5 * TTL_S
    eventually(lambda: strays.give_back() == 0 and time.monotonic() > over)
    assert waiting(client) == []


def test_a_living_worker_gives_back_what_it_has_forgotten_and_keeps_what_it_runs(
    start: Callable[..., Worker], client: redis.Redis
) -> None:
    forgotten = submit("add", 1, 2)
    message = client.rpop(f"{QUEUES}offload\x06\x164")
    start(concurrency=2)
    long = submit("slow", 4 * TTL_S)
    eventually(lambda: state(long) == "running")
    (worker,) = [name.decode() for name in client.smembers(f"{QUEUES}leases")]
    taken = f"{QUEUES}offload\x06\x164\n\n".encode() + message
    client.hset(names.held(QUEUES, worker), f"{worker}{names.SEPARATOR}0.1", taken)
    eventually(lambda: state(forgotten) == "completed", 20)
    eventually(lambda: state(long) == "completed", 20)
    assert [ledger().get(job).attempts for job in (long, forgotten)] == [1, 1]
    eventually(lambda: not list(client.scan_iter("*held:*")))
