"""The SDK is for programs that have nothing else of the platform."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from web.client import AsyncClient, Client, Job

HEAVY = (
    "flask",
    "celery",
    "kombu",
    "gevent",
    "sqlalchemy",
    "pydantic",
    "redis",
    "werkzeug",
    "rich",
    "platform.settings",
)


def test_importing_it_imports_nothing_heavy() -> None:
    code = f"import sys, web.client; print([name for name in {HEAVY} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("topic", ["", "jobs.", "resources."])
def test_both_clients_have_the_same_methods(topic: str) -> None:
    def methods(client: object) -> dict[str, list[str]]:
        owner = getattr(client, topic.rstrip(".")) if topic else client
        named = {name: getattr(owner, name) for name in dir(owner) if not name.startswith("_")}
        return {n: list(inspect.signature(m).parameters) for n, m in named.items() if callable(m)}

    with Client("http://localhost") as blocking:
        ours = methods(blocking)
    theirs = methods(AsyncClient("http://localhost"))
    ours["close"], theirs["close"] = [], theirs.pop("aclose", [])
    assert ours == theirs


def test_methods_describe_themselves() -> None:
    with Client("http://localhost") as client:
        signature = inspect.signature(client.jobs.submit)
        documentation = client.jobs.submit.__doc__
    assert signature.return_annotation is Job
    assert list(signature.parameters)[:3] == ["task", "args", "kwargs"]
    assert "priority" in (documentation or "")
