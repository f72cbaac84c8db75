"""``/health /ready /status /metrics`` from a worker that has a ``PLATFORM_HEALTH_PORT``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from platform import health, serialization
from platform.errors import SettingsError
from platform.metrics import JobsCollector

log = logging.getLogger(__name__)
JSON = "application/json"


@dataclass(frozen=True)
class Own:
    """What a program tells of itself, beside the platform: a part of ``/status`` and metrics."""

    name: str
    status: Callable[[], dict[str, Any]]
    collector: Collector


def _respond(own: Own | None, path: str) -> tuple[int, str, bytes]:
    if path == "/health":
        return 200, JSON, serialization.encode({"status": "ok"})
    if path == "/ready":
        checks = health.readiness()
        return 200 if health.is_ready(checks) else 503, JSON, serialization.encode({"checks": checks})
    if path == "/status":
        about_it = {own.name: own.status()} if own else {}
        return 200, JSON, serialization.encode(health.status() | about_it)
    if path == "/metrics":
        collectors = CollectorRegistry()
        collectors.register(JobsCollector())
        if own:
            collectors.register(own.collector)
        return 200, CONTENT_TYPE_LATEST, generate_latest(collectors)
    return 404, JSON, serialization.encode({"detail": "there are /health, /ready, /status and /metrics"})


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, own: Own | None, *args: Any):
        self._own = own
        super().__init__(*args)

    def do_GET(self) -> None:
        try:
            status, content_type, body = _respond(self._own, self.path.partition("?")[0])
        except Exception as exc:  # noqa: BLE001 - the edge of the server: a probe gets an answer whatever happened
            log.warning("answering 503 to %s: %s", self.path, exc)
            status, content_type, body = 503, JSON, serialization.encode({"detail": str(exc)})
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

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
