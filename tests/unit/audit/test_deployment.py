"""The platform's settings: right on a laptop, dangerous elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from platform.audit import deployment
from platform.audit.subject import Subject

STRONG = "kQ9-w3Zp_7LmX2vT8bN4cR6yH1sD5fGj0aEoUiKq"
PRODUCTION = {
    "env": "production",
    "secret_keys": STRONG,
    "flower_password": "kQ9-w3Zp_7LmX2",
    "database_url": "postgresql://127.0.0.1/x",
}


def all_of(subject: Subject) -> list[Any]:
    return [found for check in deployment.CHECKS for found in check(subject)]


def test_the_defaults_are_silent(new_subject: Callable[..., Subject]) -> None:
    assert all_of(new_subject(broker_url="", redis_url="")) == []


def test_a_sound_production_is_silent(new_subject: Callable[..., Subject]) -> None:
    values = {"broker_url": "rediss://:x@example.test/0", "redis_url": "", "http_host": "0.0.0.0"}
    assert all_of(new_subject(**PRODUCTION, **values)) == []


@pytest.mark.parametrize(
    ("values", "code", "severity"),
    [
        ({"http_host": "0.0.0.0"}, "development-on-the-network", "warning"),
        ({"http_host": "::"}, "development-on-the-network", "warning"),
        ({"http_host": "0.0.0.0", "debug": "true"}, "debug-on-the-network", "error"),
        ({"secret_keys": "short-but-various"}, "secret-short", "warning"),
        ({"secret_keys": "a" * 40}, "secret-guessable", "warning"),
        ({"secret_keys": "please-changeme-please-changeme-0123"}, "secret-guessable", "warning"),
        ({**PRODUCTION, "secret_keys": f"{STRONG},{'ab' * 20}"}, "secret-guessable", "error"),
        ({"flower_password": "tiny"}, "flower-password-short", "warning"),
        ({**PRODUCTION, "database_url": ""}, "sqlite-in-production", "warning"),
        ({**PRODUCTION, "redis_url": "", "broker_url": ""}, "embedded-valkey-in-production", "warning"),
        ({"redis_url": "redis://cache.example.test/0"}, "server-without-password", "warning"),
        ({**PRODUCTION, "broker_url": "rediss://cache.example.test/0"}, "server-without-password", "error"),
        ({"broker_url": "amqp://guest:guest@rabbit.example.test//"}, "guest-account", "warning"),
        ({**PRODUCTION, "broker_url": "amqp://a:b@rabbit.example.test//"}, "server-in-clear", "note"),
        ({"lease_ttl_s": 2}, "lease-short", "warning"),
        ({"lease_ttl_s": 600}, "lease-long", "warning"),
        ({"max_deaths": 1}, "one-death-is-enough", "warning"),
        ({"max_deaths": 50}, "many-deaths", "warning"),
        ({"lease_ttl_s": 8, "broker_timeout_s": 10}, "lease-below-timeout", "warning"),
        ({"lease_ttl_s": 30, "watchdog_s": 20}, "watchdog-hasty", "warning"),
        ({"shutdown_timeout_s": 40}, "shutdown-outlasts-its-grace", "note"),
        ({"shutdown_timeout_s": 0}, "shutdown-at-once", "warning"),
        ({"result_max_bytes": 100_000_000}, "large-results", "warning"),
        ({"session_ttl_s": 90 * 86_400}, "long-sessions", "note"),
        ({"cors_origins": "*"}, "any-origin", "warning"),
        ({"files_roots": "/"}, "secrets-readable-as-files", "error"),
        ({"health_port": 8000}, "ports-clash", "error"),
        ({"health_port": 8001, "workers": 2}, "one-health-port", "warning"),
    ],
)
def test_a_dangerous_setting_is_found(
    new_subject: Callable[..., Subject],
    codes: Callable[..., set[str]],
    values: dict[str, object],
    code: str,
    severity: str,
) -> None:
    assert code in codes(all_of(new_subject(**values)), severity)


@pytest.mark.parametrize(("timeout_s", "wanted"), [(25, None), (40, "55"), (120, "135")])
def test_a_long_shutdown_names_what_kubernetes_needs(
    new_subject: Callable[..., Subject], timeout_s: int, wanted: str | None
) -> None:
    found = list(deployment.shutdown(new_subject(shutdown_timeout_s=timeout_s)))
    assert [one.fix.split()[1] for one in found] == ([wanted] if wanted else [])
    assert all(("systemd" in one.fix) == (timeout_s > 90) for one in found)


def test_a_folder_beside_the_data_may_be_read(new_subject: Callable[..., Subject], tmp_path: Path) -> None:
    assert all_of(new_subject(files_roots=tmp_path)) == []
    assert [one.code for one in all_of(new_subject(files_roots=tmp_path, data_dir=tmp_path / "d"))] == [
        "secrets-readable-as-files"
    ]


def test_no_finding_quotes_a_secret(new_subject: Callable[..., Subject]) -> None:
    values = {"secret_keys": "hunter2", "flower_password": "hunter2", "broker_url": "amqp://guest:hunter2@x.test//"}
    assert "hunter2" not in str(all_of(new_subject(**values)))
