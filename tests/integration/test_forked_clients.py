"""A process forked at the worst moment can use the clients it inherited."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from kombu import Connection

from platform import store
from platform.settings import Settings
from tasks import app
from tests.waiting import eventually


@contextmanager
def held_by_a_thread(lock: Any) -> Iterator[None]:
    """The lock is another thread's while the block lasts: as it is for an instant with every command of that thread."""
    is_held, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            is_held.set()
            is_over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    is_held.wait()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def exit_code_of_a_child_that_pings(client: redis.Redis) -> int:
    pid = os.fork()
    if not pid:
        try:
            os._exit(0 if client.ping() else 1)
        finally:
            os._exit(2)
    try:
        status = eventually(lambda: ended(pid))[1]
    except AssertionError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    return os.waitstatus_to_exitcode(status)


def ended(pid: int) -> tuple[int, int] | None:
    end = os.waitpid(pid, os.WNOHANG)
    return end if end[0] else None


@pytest.mark.parametrize("lock", ["_lock", "_fork_lock"])
def test_a_child_is_not_stuck_where_a_thread_of_its_parent_was(redis_url: str, lock: str) -> None:
    client = store.connect(redis_url, Settings(), timeout_s=2)
    assert client.ping()
    with held_by_a_thread(getattr(client.connection_pool, lock)):
        assert exit_code_of_a_child_that_pings(client) == 0
    assert client.ping()
    client.close()


@pytest.mark.skipif(bool(os.environ.get("TEST_BROKER_URL")), reason="the broker is RabbitMQ")
def test_nor_is_one_that_publishes(redis_url: str) -> None:
    with Connection(app.conf.broker_url, transport_options=app.conf.broker_transport_options) as connection:
        client = connection.default_channel.client
        with held_by_a_thread(client.connection_pool._lock):
            assert exit_code_of_a_child_that_pings(client) == 0
