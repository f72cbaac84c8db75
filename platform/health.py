"""Is it alive, is it ready, what is going on: the checks behind ``/health``, ``/ready`` and ``/status``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from platform import endpoints, registry, store
from platform.jobs.ledger import ledger
from platform.queues import names
from platform.schedules.election import schedulers
from platform.schedules.missed import LATE_MS
from platform.schedules.register import register
from platform.settings import settings
from platform.transport import QUICK_CONNECT

_started_at = time.time()


def readiness() -> dict[str, str]:
    """Each thing a request needs, ``"ok"`` or what is wrong with it. Takes at most a broker timeout for each server.

    One that did not answer as the broker is not asked again as the record store: two timeouts outlast the 2 s in which
    an answer is promised.
    """
    broker = _outcome(_broker)
    is_known = broker != "ok" and endpoints.records_are_beside_queues()
    return {
        "broker": broker,
        "records": broker if is_known else _outcome(_records),
        "database": _outcome(_database),
    }


def ready(checks: dict[str, str]) -> dict[str, Any]:
    """The answer to ``/ready``."""
    return {"status": "ready" if is_ready(checks) else "not ready", "checks": checks}


def is_ready(checks: dict[str, str]) -> bool:
    return all(answer == "ok" for answer in checks.values())


def status() -> dict[str, Any]:
    """Queues with their jobs by state, workers, schedules and who acts on them, and since when this process runs."""
    counts = ledger().counts(names(settings()))
    return {
        "env": settings().env,
        "uptime_s": round(time.time() - _started_at, 1),
        "jobs": counts.pop(""),
        "queues": counts,
        "workers": registry.workers(),
        "schedules": _schedules(),
    }


def _schedules() -> dict[str, Any]:
    """``acting`` None: no scheduler acts, and nothing is run on a clock."""
    standing = schedulers(register())
    acting = next((one.name for one in standing if one.acting), None)
    counts = register().counts(LATE_MS)
    return {**counts, "acting": acting, "schedulers": [one.as_dict() for one in standing]}


def _outcome(check: Callable[[], None]) -> str:
    try:
        check()
    except Exception as exc:  # noqa: BLE001 - the answer of a health check is what is wrong, whatever it is
        return f"{type(exc).__name__}: {exc}"[:200]
    return "ok"


def _broker() -> None:
    from platform.celery import app

    with app.connection_for_write(
        connect_timeout=settings().broker_timeout_s, transport_options=_quick()
    ) as connection:
        # Not connect(): that pauses two seconds between its tries. Kombu's Redis transport connects with a channel.
        _ = connection.default_channel


def _quick() -> dict[str, Any]:
    """As programs that publish wait for the broker: a worker's own connections are more patient than any probe."""
    timeout_s = settings().broker_timeout_s
    is_redis = endpoints.is_redis(endpoints.broker_url(settings()))
    waits = ("socket_timeout", "socket_connect_timeout") if is_redis else ("read_timeout", "write_timeout")
    return QUICK_CONNECT | dict.fromkeys(waits, timeout_s)


def _records() -> None:
    store.client().ping()


def _database() -> None:
    from sqlalchemy import text

    from platform.database import reading

    with reading() as session:
        session.execute(text("SELECT 1"))
