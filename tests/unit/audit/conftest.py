"""A subject of its own for each test: settings as given, and a Celery app whose configuration may be spoilt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from platform.audit.finding import Finding, Severity
from platform.audit.subject import Subject
from platform.celery import Platform
from platform.settings import load

RABBIT = "amqp://user:pass@127.0.0.1:1//"
RABBIT_OPTIONS = {"confirm_publish": True, "read_timeout": 1.5, "write_timeout": 1.5}


class Audited(Platform):
    """An app with the platform's tasks and its own: Celery gives every app of a process what any has registered."""

    def finalize(self, auto: bool = False) -> None:
        is_first, own = not self.finalized, list(self._pending)
        super().finalize(auto)
        if is_first:
            mine = {task.name for task in own}
            for name in [n for n in self._tasks if n not in mine and not n.startswith(("celery.", "tasks."))]:
                self._tasks.pop(name)


@pytest.fixture
def new_subject(data_dir: Path) -> Callable[..., Subject]:
    """``new_subject({"task_acks_late": False}, max_deaths=1)``: Celery's keys, then settings."""

    def make(keys: dict[str, Any] | None = None, **values: object) -> Subject:
        given = {"data_dir": data_dir, "redis_url": "redis://127.0.0.1:1/0", "broker_url": "redis://127.0.0.1:1/0"}
        environ = {f"PLATFORM_{name.upper()}": str(value) for name, value in (given | values).items()}
        loaded = load(environ)
        app = Audited("audited", config_source="celeryconfig", set_as_current=False)
        app.conf.update(broker_url=values.get("broker_url", app.conf.broker_url), worker_disable_prefetch=True)
        app.conf.broker_transport_options = _options(loaded.settings)
        app.conf.update(keys or {})
        return Subject(loaded.settings, app, loaded.origins)

    return make


def _options(config: Any) -> dict[str, Any]:
    """As ``celeryconfig`` makes them: it was imported with the settings of the whole run."""
    from platform import endpoints, transport

    if not endpoints.is_redis(endpoints.broker_url(config)):
        return transport.QUICK_CONNECT | RABBIT_OPTIONS
    return transport.QUICK_CONNECT | {
        "priority_steps": list(range(10)),
        "global_keyprefix": transport.key_prefix(config),
        "socket_timeout": 1.5,
        "socket_connect_timeout": 1.5,
        "socket_keepalive": True,
        "master_name": "mymaster",
    }


@pytest.fixture
def codes() -> Callable[..., set[str]]:
    """``codes(found)``: all of them; ``codes(found, "error")``: those of that severity."""

    def of(found: Any, severity: str = "") -> set[str]:
        findings: list[Finding] = list(found)
        return {one.code for one in findings if not severity or one.severity == Severity(severity)}

    return of
