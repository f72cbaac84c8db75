"""Programs that ask ``platform`` something at start work from the project's root, where ours is found first."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import ROOT, script, succeed

Python = Callable[..., str]


@pytest.mark.parametrize(
    "code",
    [
        "import uuid; print(uuid.uuid1())",
        "import uuid, pydantic; print(pydantic.VERSION)",
        "import ssl, ctypes.util, sysconfig, asyncio, webbrowser; print(sysconfig.get_platform())",
        "import sqlalchemy; print(sqlalchemy.__version__)",
        "import gevent.monkey; gevent.monkey.patch_all(); import platform; print(platform.system())",
    ],
)
def test_a_library_that_asks_platform_imports(fresh_python: Python, code: str) -> None:
    assert fresh_python("-c", code, cwd=ROOT)


@pytest.mark.parametrize("program", ["pip", "flask", "gunicorn", "venv"])
def test_a_module_that_runs_works(fresh_python: Python, program: str) -> None:
    question = "--help" if program == "venv" else "--version"
    assert fresh_python("-m", program, question, cwd=ROOT)


@pytest.mark.parametrize("program", ["pip", "flask", "gunicorn"])
def test_a_console_script_works(env: dict[str, str], program: str) -> None:
    assert succeed(script(program), "--version", cwd=ROOT, env=env)


def test_running_the_module_prints_what_the_standard_one_prints(fresh_python: Python) -> None:
    assert fresh_python("-m", "platform", cwd=ROOT) == fresh_python("-I", "-m", "platform")


def test_running_the_module_takes_the_standard_ones_arguments(fresh_python: Python) -> None:
    ours = fresh_python("-m", "platform", "terse", cwd=ROOT)
    assert ours == fresh_python("-I", "-m", "platform", "terse")


@pytest.mark.parametrize(
    "pytest_command", [[script("pytest")], [sys.executable, "-m", "pytest"]], ids=["bare", "module"]
)
def test_pytest_collects(pytest_command: list[str], folder: Path, env: dict[str, str]) -> None:
    one_file = str(ROOT / "tests" / "unit" / "test_settings.py")
    options = ["-q", "--collect-only", "-p", "no:cacheprovider"]
    assert "test_settings.py::" in succeed(*pytest_command, *options, one_file, cwd=folder, env=env)


@pytest.mark.parametrize(
    "gunicorn", [[script("gunicorn")], [sys.executable, "-m", "gunicorn"]], ids=["script", "module"]
)
def test_gunicorn_loads_the_front_door(gunicorn: list[str], env: dict[str, str]) -> None:
    succeed(*gunicorn, "--check-config", "-c", "web/gunicorn.conf.py", "web.wsgi:app", cwd=ROOT, env=env)


def test_flask_loads_the_front_door(env: dict[str, str]) -> None:
    assert "/health" in succeed(script("flask"), "--app", "web.wsgi", "routes", cwd=ROOT, env=env)
