"""Secrets a development machine makes for itself."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from platform.credentials import flower_password, signing_keys
from platform.errors import SettingsError
from platform.settings import Settings, load
from tests.processes import ROOT, environment


def development(data_dir: Path, **values: str) -> Settings:
    environ = {f"PLATFORM_{name.upper()}": value for name, value in values.items()}
    return load({"PLATFORM_DATA_DIR": str(data_dir), **environ}).settings


def permissions(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_signing_key_is_made_once_and_found_again(data_dir: Path) -> None:
    first = signing_keys(development(data_dir))
    assert len(first) == 1
    assert signing_keys(development(data_dir)) == first


def test_two_folders_have_two_signing_keys(data_dir: Path) -> None:
    assert signing_keys(development(data_dir / "a")) != signing_keys(development(data_dir / "b"))


def test_a_made_signing_key_is_long_enough_for_production(data_dir: Path) -> None:
    assert len(signing_keys(development(data_dir))[0]) >= 32


def test_only_the_owner_can_read_a_made_secret(data_dir: Path) -> None:
    signing_keys(development(data_dir))
    folder = data_dir / "secrets"
    assert (permissions(folder), permissions(folder / "signing_key")) == (0o700, 0o600)


def test_nothing_but_the_secret_is_left_in_the_folder(data_dir: Path) -> None:
    signing_keys(development(data_dir))
    assert [file.name for file in (data_dir / "secrets").iterdir()] == ["signing_key"]


def test_keys_that_are_set_are_used_newest_first(data_dir: Path) -> None:
    assert signing_keys(development(data_dir, secret_keys="new, old")) == ["new", "old"]


def test_nothing_is_made_when_keys_are_set(data_dir: Path) -> None:
    signing_keys(development(data_dir, secret_keys="new"))
    assert list(data_dir.iterdir()) == []


def test_flowers_password_is_made_once_and_found_again(data_dir: Path) -> None:
    assert flower_password(development(data_dir)) == flower_password(development(data_dir))


def test_flowers_password_is_not_the_signing_key(data_dir: Path) -> None:
    assert flower_password(development(data_dir)) not in signing_keys(development(data_dir))


def test_flowers_password_that_is_set_is_used(data_dir: Path) -> None:
    assert flower_password(development(data_dir, flower_password="secret")) == "secret"


def test_an_emptied_secret_is_refused_rather_than_signed_with(data_dir: Path) -> None:
    signing_keys(development(data_dir))
    (data_dir / "secrets" / "signing_key").write_text("")
    with pytest.raises(SettingsError, match="signing_key is empty; delete it"):
        signing_keys(development(data_dir))


def test_processes_that_start_at_once_agree_on_one_key(data_dir: Path) -> None:
    code = "import tasks, platform.credentials as c, platform.settings as s; print(*c.signing_keys(s.settings()))"
    command, env = [sys.executable, "-c", code], environment({"data_dir": data_dir})
    started = [subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    keys = {process.communicate(timeout=60)[0].strip() for process in started}
    assert len(keys) == 1
    assert keys == set(signing_keys(development(data_dir)))
