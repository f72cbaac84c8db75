"""The machine: real permissions and limits; thresholds moved to where this machine is beyond them."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from platform.audit import host
from platform.audit.subject import Subject


def of(check: Any, subject: Subject) -> dict[str, str]:
    return {found.code: found.severity.value for found in check(subject)}


PRODUCTION = {"env": "production", "secret_keys": "x" * 32, "flower_password": "x" * 12}


def test_a_folder_of_ones_own_is_silent(new_subject: Callable[..., Subject]) -> None:
    for check in (host.data_dir, host.secret_files, host.disk, host.processes, host.installed):
        assert of(check, new_subject()) == {}


def test_a_folder_others_may_look_into_is_found(new_subject: Callable[..., Subject], data_dir: Path) -> None:
    data_dir.chmod(0o755)
    assert of(host.data_dir, new_subject()) == {"data-dir-open": "warning"}


def test_a_folder_that_cannot_be_written_is_found(
    new_subject: Callable[..., Subject], data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    assert of(host.data_dir, new_subject()) == {"data-dir-not-writable": "error"}


def test_a_folder_of_another_user_is_found(
    new_subject: Callable[..., Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    assert "data-dir-of-another-user" in of(host.data_dir, new_subject())


def test_a_readable_secret_is_found(new_subject: Callable[..., Subject], data_dir: Path) -> None:
    from platform import credentials, embedded

    subject = new_subject(broker_url="", redis_url="")
    credentials.signing_keys(subject.config)
    embedded.endpoint(data_dir)
    assert of(host.secret_files, subject) == {}
    (data_dir / "secrets" / "signing_key").chmod(0o644)
    assert of(host.secret_files, subject) == {"secret-readable": "error"}


def test_a_readable_file_of_settings_counts_if_it_holds_secrets(
    new_subject: Callable[..., Subject], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "platform.toml"
    file.write_text('secret_keys = ["0123456789abcdefghijklmnopqrstuvwxyz"]')
    file.chmod(0o644)
    monkeypatch.setenv("PLATFORM_CONFIG", str(file))
    assert of(host.secret_files, new_subject()) == {}  # nothing was read from it
    assert of(host.secret_files, new_subject(config=file)) == {"settings-file-readable": "warning"}
    file.chmod(0o600)
    assert of(host.secret_files, new_subject(config=file)) == {}


@pytest.mark.parametrize(("hardly_any", "severity"), [(0, "warning"), (2**62, "error")])
def test_a_full_disk_is_found(
    new_subject: Callable[..., Subject], monkeypatch: pytest.MonkeyPatch, hardly_any: int, severity: str
) -> None:
    monkeypatch.setattr(host, "LITTLE_DISK", 2**62)
    monkeypatch.setattr(host, "HARDLY_ANY_DISK", hardly_any)
    assert of(host.disk, new_subject()) == {"disk-nearly-full": severity}


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("ext4", {}),
        ("nfs4", {"data-dir-on-the-network": "warning"}),
        ("tmpfs", {"data-dir-in-memory": "note"}),
    ],
)
def test_a_file_system_that_does_not_keep_or_lock_is_found(
    new_subject: Callable[..., Subject],
    data_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    found: dict[str, str],
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"a / ext4 rw 0 0\nb {data_dir.parent} ext3 rw 0 0\nc {data_dir.parent} {kind} rw 0 0\n")
    monkeypatch.setattr(host, "MOUNTS", mounts)
    assert of(host.filesystem, new_subject()) == found


def test_this_machine_tells_a_file_system() -> None:
    assert host.filesystem_of(Path("/proc")) == "proc"
    assert host.filesystem_of(Path("/"), Path("/nowhere")) == ""


@pytest.mark.parametrize(
    ("limit", "values", "found"),
    [
        (256, {}, {"few-open-files": "warning"}),
        (1024, {}, {"few-open-files": "note"}),
        (1024, PRODUCTION, {"few-open-files": "warning"}),
        (12_000, PRODUCTION, {}),
    ],
)
def test_a_low_limit_of_open_files_is_found(
    new_subject: Callable[..., Subject], limit: int, values: dict[str, object], found: dict[str, str]
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    subject = new_subject(**values)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        assert of(host.limits, subject) == found
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(("values", "severity"), [({}, "note"), (PRODUCTION, "warning")])
def test_root_is_found(
    new_subject: Callable[..., Subject],
    monkeypatch: pytest.MonkeyPatch,
    values: dict[str, object],
    severity: str,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert of(host.user, new_subject(**values)) == {"root": severity}
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert of(host.user, new_subject(**values)) == {}


def test_more_processes_than_the_machine_carries_are_found(new_subject: Callable[..., Subject]) -> None:
    assert of(host.processes, new_subject(worker_concurrency=1000)) == {"many-processes": "warning"}


def test_another_series_of_a_library_is_found() -> None:
    assert [one.code for one in host.of_versions({"celery": "5.7.3", "kombu": "5.8.0"})] == [
        "library-of-another-series"
    ]
    assert list(host.of_versions({"celery": "5.7.3", "kombu": "5.7.0rc1"})) == []
