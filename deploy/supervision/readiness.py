"""Whether a program does its work, which is more than that its process lives."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis

from deploy.supervision.client import Info
from deploy.supervision.programs import STORE, WORK, Program
from platform import embedded

PROBE_TIMEOUT_S = 2.0
PING_TIMEOUT_S = 0.5
# A worker whose remote control is off never answers a ping; having lived this long it counts as ready. Not any other:
# on a busy machine one that cannot start takes longer to find that out.
SILENT_WORKER_S = 15.0


def until(condition: Callable[[], bool], timeout_s: float, poll_s: float = 0.1) -> bool:
    """Whether ``condition`` became true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(poll_s)
    return True


def store_answers(data_dir: Path, pid: int | None) -> bool:
    """Whether the folder's Valkey answers and is that process, not one that was started on demand."""
    try:
        with redis.Redis.from_url(embedded.endpoint(data_dir).url, socket_timeout=PROBE_TIMEOUT_S) as client:
            return bool(client.info("server")["process_id"] == pid)
    except redis.RedisError:
        return False


def is_ready(program: Program, info: Info, data_dir: Path, app: Any) -> bool:
    """Whether the program can be used: Valkey, web and Flower answer, workers reply to a ping, beat runs."""
    if program.group == STORE:
        return store_answers(data_dir, info.pid)
    if info.state != "running":
        return False
    if program.group == WORK:
        if app.conf.worker_enable_remote_control:
            return _worker_replies(app, program.name)
        return _age_s(info) > SILENT_WORKER_S
    if program.name == "web":
        return _web_is_healthy(program.url or "")
    return _listens(program.url) if program.url else True


def _age_s(info: Info) -> float:
    return time.time() - info.since.timestamp() if info.since else 0.0


def _worker_replies(app: Any, name: str) -> bool:
    from celery.utils.nodenames import nodename
    from kombu.exceptions import KombuError

    node = nodename(name, socket.gethostname())
    connection = app.connection_for_write()
    try:
        with connection:
            return bool(app.control.ping(destination=[node], timeout=PING_TIMEOUT_S, connection=connection))
    except (OSError, KombuError, *connection.connection_errors):
        return False


def _web_is_healthy(url: str) -> bool:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _listens(url: str) -> bool:
    address = urlsplit(url)
    try:
        with socket.create_connection((address.hostname or "", address.port or 0), PROBE_TIMEOUT_S):
            return True
    except OSError:
        return False
