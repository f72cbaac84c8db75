"""The broker is away: 503 with Retry-After within two seconds, never a hang, nothing left behind; then on again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest
import redis

from tests import processes
from tests.integration.asking import submit
from tests.integration.conftest import Shop
from tests.waiting import eventually

ON_RABBITMQ = os.environ.get("TEST_BROKER_URL", "").startswith("amqp")
JOB = {"task": "shop.add", "args": [1, 2]}


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """The process stopped, as a machine out of memory stops: its connections stay open and say nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def valkey_pid(shop: Shop) -> int:
    with redis.Redis.from_url(shop.redis_url) as client:
        return int(client.info("server")["process_id"])


def refused_in_time(ann: httpx2.Client) -> None:
    for path, body in (("/jobs", JOB), ("/model/item", {"name": "bread"})):
        began = time.monotonic()
        answer = ann.post(path, json=body)
        assert time.monotonic() - began < 2.0
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert "nothing was accepted" in answer.json()["detail"]


def test_a_frozen_server_is_503_in_time_and_nothing_was_enqueued(shop: Shop, ann: httpx2.Client) -> None:
    submit(ann, "add", 1, 2)
    with frozen(valkey_pid(shop)):
        refused_in_time(ann)
        began = time.monotonic()
        assert ann.get("/queues").status_code == 503
        assert time.monotonic() - began < 2
        began = time.monotonic()
        assert ann.get("/events", params={"room": "lobby"}).status_code == 503
        assert time.monotonic() - began < 2
        assert (ann.get("/health").status_code, ann.get("/ready").status_code) == (200, 503)
        assert time.monotonic() - began < 6
    assert eventually(lambda: ann.get("/ready").status_code == 200)
    assert ann.get("/jobs").json()["total"] in (1, 2, 3)  # the server may read, once thawed, what it was sent frozen


def test_what_is_not_ready_says_so_in_time(shop: Shop, ann: httpx2.Client) -> None:
    port = processes.free_port()
    with shop.start_worker(health_port=port):
        urls = [f"{ann.base_url}/ready", f"http://127.0.0.1:{port}/ready"]
        with httpx2.Client(timeout=20, trust_env=False) as probe:
            assert eventually(lambda: all(probe.get(url).status_code == 200 for url in urls))
            with frozen(valkey_pid(shop)):
                for url in urls:
                    began = time.monotonic()
                    answer = probe.get(url)
                    assert time.monotonic() - began < 2.0
                    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
                    said = answer.json()
                    assert (said["status"], said["checks"]["database"]) == ("not ready", "ok")
                    assert said["checks"]["records"] != "ok"
                    assert (said["checks"]["broker"] == "ok") is ON_RABBITMQ  # which is not what is frozen
            assert eventually(lambda: all(probe.get(url).status_code == 200 for url in urls))


def test_a_killed_server_is_503_in_time_and_work_goes_on_when_it_is_back(shop: Shop, ann: httpx2.Client) -> None:
    from platform import embedded

    submit(ann, "add", 1, 2)
    os.kill(valkey_pid(shop), signal.SIGKILL)
    refused_in_time(ann)
    embedded.ensure_running(shop.folder / "d")
    assert eventually(lambda: ann.post("/jobs", json=JOB).status_code == 202)


@pytest.mark.skipif(not os.environ.get("TEST_BROKER_URL"), reason="the broker is the record store")
def test_a_refused_rabbitmq_is_503_in_time_and_leaves_no_record(shop: Shop, ann: httpx2.Client) -> None:
    with shop.start_web(broker_url="amqp://guest:guest@127.0.0.1:1//") as web:
        ann.base_url = web.url
        refused_in_time(ann)
        assert (ann.get("/queues").status_code, ann.post("/queues/offload/pause").status_code) == (503, 403)
        assert ann.get("/ready").json()["checks"]["broker"] != "ok"
        assert ann.get("/jobs").json()["total"] == 0
