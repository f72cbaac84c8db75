"""Every test here asks a fresh interpreter: this process's ``platform`` proves nothing about another's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import ROOT, environment, succeed


@pytest.fixture(params=["root", "elsewhere"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The current folder of the command: the project's root, or one that knows nothing of the project."""
    return ROOT if request.param == "root" else tmp_path


@pytest.fixture
def env(data_dir: Path) -> dict[str, str]:
    return environment({"data_dir": data_dir})


@pytest.fixture
def fresh_python(env: dict[str, str], tmp_path: Path) -> Callable[..., str]:
    """Run a fresh interpreter's arguments and return what it prints; ``cwd`` is elsewhere unless given."""

    def run(*args: str, cwd: Path = tmp_path, **more_env: str) -> str:
        return succeed(sys.executable, *args, cwd=cwd, env=env | more_env).strip()

    return run
