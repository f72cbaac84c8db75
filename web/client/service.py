"""``/health /ready /status`` as generators of requests (see ``web.client.exchange``)."""

from __future__ import annotations

from typing import Any

from web.client.exchange import Flow, Request, read
from web.client.models import Readiness


def health() -> Flow[dict[str, str]]:
    """``{"status": "ok"}`` from a server that lives, whatever its broker does."""
    return read((yield Request("GET", "/health")), dict[str, str])


def ready() -> Flow[Readiness]:
    """Whether broker, record store and database answer; "no" is an answer and no error."""
    return read((yield Request("GET", "/ready", accepted=(503,))), Readiness)


def status() -> Flow[dict[str, Any]]:
    """``{"env", "uptime_s", "jobs", "queues", "workers", "schedules"}``: jobs by state, in all and by queue."""
    return read((yield Request("GET", "/status")), dict[str, Any])
