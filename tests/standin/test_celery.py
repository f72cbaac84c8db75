"""``celery -A platform`` finds the app by every road that leads to Celery."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, run, script, succeed

SCRIPT = [script("celery")]
MODULE = [sys.executable, "-m", "celery"]


@pytest.mark.parametrize("celery", [SCRIPT, MODULE], ids=["script", "module"])
def test_celery_finds_the_app(celery: list[str], folder: Path, env: dict[str, str]) -> None:
    report = succeed(*celery, "-A", "platform", "report", cwd=folder, env=env)
    assert "results:platform.results:JobBackend" in report


@pytest.mark.parametrize("celery", [SCRIPT, MODULE], ids=["script", "module"])
def test_celery_finds_the_app_without_the_current_folder_on_the_path(
    celery: list[str], folder: Path, env: dict[str, str]
) -> None:
    report = succeed(*celery, "-A", "platform", "report", cwd=folder, env=env | {"PYTHONSAFEPATH": "1"})
    assert "results:platform.results:JobBackend" in report


@pytest.mark.parametrize("name", ["platform.celery", "platform.celery:app", "tasks", "tasks:app"])
def test_celery_finds_the_app_by_its_other_names(name: str, tmp_path: Path, env: dict[str, str]) -> None:
    report = succeed(*SCRIPT, "-A", name, "report", cwd=tmp_path, env=env)
    assert "results:platform.results:JobBackend" in report


def test_celery_finds_the_app_from_a_working_folder_given_as_an_option(tmp_path: Path, env: dict[str, str]) -> None:
    report = succeed(*SCRIPT, "--workdir", str(ROOT), "-A", "platform", "report", cwd=tmp_path, env=env)
    assert "results:platform.results:JobBackend" in report


def test_flower_is_a_command(folder: Path, env: dict[str, str]) -> None:
    assert "flower" in succeed(*SCRIPT, "-A", "platform", "flower", "--help", cwd=folder, env=env).lower()


def test_no_plug_in_command_is_broken(env: dict[str, str]) -> None:
    done = run(*SCRIPT, "-A", "platform", "--help", env=env)
    assert done.returncode == 0
    assert "could not be loaded" not in done.stdout + done.stderr
    assert "\u2020" not in done.stdout  # click-plugins marks a broken command with a dagger


def test_the_standard_librarys_answers_are_in_the_report(env: dict[str, str]) -> None:
    assert "platform -> system:Linux" in succeed(*SCRIPT, "-A", "platform", "report", env=env)
