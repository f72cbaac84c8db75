"""``make`` on a bare machine: which Python it takes, and what it says when there is none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.processes import ROOT, run, succeed

TOOLS = ("awk", "echo", "env", "make", "seq", "sh", "test", "touch")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder with the project's Makefile, beside a PATH of its own in ``bin`` without any Python."""
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def add_python(machine: Path, name: str, works: bool = True) -> None:
    program = machine / "bin" / name
    program.write_text(f"#!/bin/sh\nexit {0 if works else 1}\n")
    program.chmod(0o755)


def make(machine: Path, *args: str) -> list[object]:
    return ["make", "-C", machine, *args]


def environment(machine: Path) -> dict[str, str]:
    return {"PATH": str(machine / "bin")}


def test_the_newest_python_is_taken(machine: Path) -> None:
    for name in ("python3", "python3.11", "python3.13", "python3.12"):
        add_python(machine, name)
    plan = succeed(*make(machine, "-n", ".venv"), env=environment(machine))
    assert "python3.13 -m venv" in plan


def test_a_python_that_cannot_make_environments_is_passed_over(machine: Path) -> None:
    add_python(machine, "python3.13", works=False)
    add_python(machine, "python3.12")
    assert "python3.12 -m venv" in succeed(*make(machine, "-n", ".venv"), env=environment(machine))


def test_a_python_without_a_number_is_taken_when_there_is_no_other(machine: Path) -> None:
    add_python(machine, "python3")
    assert "python3 -m venv" in succeed(*make(machine, "-n", ".venv"), env=environment(machine))


def test_a_named_python_is_taken(machine: Path) -> None:
    add_python(machine, "python3.13")
    plan = succeed(*make(machine, "-n", ".venv", "PYTHON=/opt/python"), env=environment(machine))
    assert "/opt/python -m venv" in plan


def test_without_a_fitting_python_make_says_what_to_do(machine: Path) -> None:
    add_python(machine, "python3", works=False)
    done = run(*make(machine, ".venv"), env=environment(machine))
    assert done.returncode != 0
    assert "No Python 3.11 or newer" in done.stderr


def test_only_the_runtime_lock_is_installed_to_run_it(machine: Path) -> None:
    add_python(machine, "python3.12")
    plan = succeed(*make(machine, "-n", "up"), env=environment(machine))
    assert "-r requirements.lock" in plan
    assert "requirements-dev.lock" not in plan


def test_the_tests_install_the_development_lock_too(machine: Path) -> None:
    add_python(machine, "python3.12")
    plan = succeed(*make(machine, "-n", "test"), env=environment(machine))
    assert plan.index("-r requirements.lock") < plan.index("-r requirements-dev.lock") < plan.index("-m pytest")


def test_arguments_reach_pytest(machine: Path) -> None:
    add_python(machine, "python3.12")
    assert "-m pytest -k one" in succeed(*make(machine, "-n", "test", "ARGS=-k one"), env=environment(machine))


@pytest.mark.parametrize("target", ["demo", "up", "test", "bench", "lint", "lock", "clean", ".venv"])
def test_make_alone_lists_every_target(machine: Path, target: str) -> None:
    assert f"make {target} " in succeed(*make(machine), env=environment(machine))
