"""Every public name of the standard library's module answers as in an interpreter without this project."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.processes import ROOT

Python = Callable[..., str]

# Calls whatever can be called with nothing and prints {name: what it gave}.
ASK = """
import inspect, json
def can_be_called(value):
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return False
    return all(p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)
def answer(value):
    if not callable(value) or inspect.isclass(value) or not can_be_called(value):
        return type(value).__name__
    try:
        return repr(value())
    except Exception as exc:
        return repr(exc)
print(json.dumps({name: answer(getattr(platform, name)) for name in NAMES}))
"""
ALONE = "import platform; NAMES = [n for n in dir(platform) if not n.startswith('_')]"


@pytest.fixture
def expected(fresh_python: Python) -> dict[str, str]:
    found: dict[str, str] = json.loads(fresh_python("-I", "-S", "-c", f"{ALONE}\n{ASK}"))
    assert {"system", "python_version", "uname"} <= set(found)
    return found


@pytest.mark.parametrize(
    ("first", "env"),
    [
        pytest.param("import platform, tasks, platform.celery", {}, id="standard-library-first"),
        pytest.param("import platform.celery", {"PYTHONPATH": str(ROOT)}, id="root-first"),
    ],
)
def test_every_public_name_answers_the_same(
    fresh_python: Python, expected: dict[str, str], first: str, env: dict[str, str]
) -> None:
    code = f"{first}\nNAMES = {sorted(expected)!r}\n{ASK}"
    assert json.loads(fresh_python("-c", code, **env)) == expected
