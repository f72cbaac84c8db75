"""The record store: one Redis client per process, its key prefix, and how patient to be with it.

Every key starts with ``{PREFIX}:``; the braces are a hash tag, so that keys a script touches together
live on one shard.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar
from urllib.parse import urlsplit
from weakref import WeakSet

import redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError
from redis.retry import Retry
from redis.sentinel import Sentinel

from platform import endpoints
from platform.errors import BrokerUnavailable
from platform.settings import Settings, settings

Answer = TypeVar("Answer")
AWAY = (ConnectionError, TimeoutError, BusyLoadingError)


def key_prefix(config: Settings | None = None) -> str:
    return f"{{{(config or settings()).key_prefix}}}:"


@cache
def client() -> redis.Redis:
    """This process's client: thread-, greenlet- and fork-safe, text in and out.

    One immediate reconnect hides a connection the server closed meanwhile; beyond that a call fails
    within ``broker_timeout_s``. Starts the embedded server when the configuration uses it.
    """
    config = settings()
    endpoints.ensure_embedded(config)
    return connect(endpoints.redis_url(config), config, timeout_s=config.broker_timeout_s)


def connect(url: str, config: Settings, timeout_s: float | None, as_text: bool = True) -> redis.Redis:
    """A new client for any Redis URL this platform accepts; ``timeout_s`` None waits without end (subscriptions)."""
    options: dict = {
        "decode_responses": as_text,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": config.broker_timeout_s,
        "socket_keepalive": True,
        # Not after a timeout: two of them would outlast the answer a caller was promised.
        "retry": Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
    }
    if url.startswith("sentinel://"):
        return _through_sentinel(url, config, options)
    if url.startswith("redis+socket://"):
        del options["socket_keepalive"]
        url = "unix" + url.removeprefix("redis+socket")
    made = redis.Redis.from_url(url, **options)
    make_fork_safe(made.connection_pool)
    return made


def _through_sentinel(url: str, config: Settings, options: dict) -> redis.Redis:
    places = [urlsplit(part) for part in url.split(";")]
    hosts = [(place.hostname or "localhost", place.port or 26379) for place in places]
    database = int(places[0].path.strip("/") or 0)
    password = places[0].password
    sentinel = Sentinel(hosts, sentinel_kwargs={"password": password}, password=password, db=database, **options)
    master = sentinel.master_for(config.sentinel_master)
    for made in (master, *sentinel.sentinels):
        make_fork_safe(made.connection_pool)
    return master


_pools: WeakSet[Any] = WeakSet()


def make_fork_safe(pool: redis.ConnectionPool) -> None:
    """Let children of this process use the pool, whatever its threads are doing with it when they are forked.

    redis-py 8.1 empties an inherited pool under the lock it inherited with it (``ConnectionPool.reset``). If a thread
    of the parent held that just then, the child would wait for ever, with its job: a worker's child was seen to.
    """
    _pools.add(pool)


def _renew_locks() -> None:
    for pool in _pools:
        pool._lock, pool._fork_lock = threading.RLock(), threading.RLock()
        pool._event_dispatcher._lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_locks)


def insist(call: Callable[[], Answer], patience_s: float) -> Answer:
    """Repeat an idempotent call while the store is away, for ``patience_s`` seconds (0: once).

    Raises BrokerUnavailable when patience runs out.
    """
    deadline = time.monotonic() + patience_s
    pause_s = 0.05
    while True:
        try:
            return call()
        except AWAY as exc:
            if time.monotonic() + pause_s > deadline:
                raise BrokerUnavailable(f"the record store did not answer: {exc}; try again shortly") from exc
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, 2.0)
