"""``/health /ready /status /metrics`` from a worker that has a ``PLATFORM_HEALTH_PORT``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from platform import health, problems, serialization
from platform.errors import SettingsError
from platform.metrics import JobsCollector
from platform.problems import RETRY_AFTER_S

log = logging.getLogger(__name__)
JSON = "application/json"


@dataclass(frozen=True)
class Own:
    """What a program tells of itself, beside the platform: a part of ``/status`` and metrics."""

    name: str
    status: Callable[[], dict[str, Any]]
    collector: Collector


@dataclass(frozen=True)
class _Answer:
    status: int
    content_type: str
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        away = {"Retry-After": str(RETRY_AFTER_S)} if self.status == 503 else {}
        return {"Content-Type": self.content_type, "Content-Length": str(len(self.body)), **away}


def _json(status: int, said: dict[str, Any]) -> _Answer:
    return _Answer(status, JSON, serialization.encode(said))


def _problem(status: int, detail: str) -> _Answer:
    return _Answer(status, problems.CONTENT_TYPE, serialization.encode(problems.document(status, detail)))


def _respond(own: Own | None, path: str) -> _Answer:
    """As the web answers (``web.service``)."""
    if path == "/health":
        return _json(200, {"status": "ok"})
    if path == "/ready":
        checks = health.readiness()
        return _json(200 if health.is_ready(checks) else 503, health.ready(checks))
    if path == "/status":
        about_it = {own.name: own.status()} if own else {}
        return _json(200, health.status() | about_it)
    if path == "/metrics":
        collectors = CollectorRegistry()
        collectors.register(JobsCollector())
        if own:
            collectors.register(own.collector)
        return _Answer(200, CONTENT_TYPE_LATEST, generate_latest(collectors))
    return _problem(404, f"there is nothing at {path}; there are /health, /ready, /status and /metrics")


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, own: Own | None, *args: Any):
        self._own = own
        super().__init__(*args)

    def do_GET(self) -> None:
        try:
            answer = _respond(self._own, self.path.partition("?")[0])
        except Exception as exc:  # noqa: BLE001 - the edge of the server: a probe gets an answer whatever happened
            log.warning("answering 503 to %s: %s", self.path, exc)
            answer = _problem(503, str(exc))
        self._send(answer)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The base class's, for what it cannot read and for methods it has no ``do_…`` of; it would write HTML."""
        self._send(_problem(code, message or HTTPStatus(code).phrase))

    def _send(self, answer: _Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:
        log.debug(format, *args)


def start(
    port: int, host: str = "127.0.0.1", own: Own | None = None, asked_by: str = "PLATFORM_HEALTH_PORT"
) -> ThreadingHTTPServer:
    """Serve in a daemon thread. Raises SettingsError, naming what asked for it, when the port is taken."""
    try:
        server = ThreadingHTTPServer((host, port), partial(_Handler, own))
    except OSError as exc:
        raise SettingsError(f"{asked_by}={port}: {exc.strerror}; choose a free port") from exc
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health-server", daemon=True).start()
    return server
