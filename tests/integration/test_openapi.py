"""What the server does against what it says it does, by schemathesis: generated requests, every answer checked."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests import processes

TIMEOUT_S = 150.0
EXAMPLES = 15
# What a task takes, a schema of all jobs cannot say: some requests that fit it are refused with 422.
ANYTHING = """
[[operations]]
include-name = "POST /jobs"
checks.positive_data_acceptance.enabled = false
"""
# Real names instead of generated ones, so that requests come further than to a 404; bodies are the provider's business.
REAL_RESOURCES = """
[parameters]
provider = "files"
type = "checksum"
name = "thing"
action = "verify"

[checks]
positive_data_acceptance.enabled = false
"""

pytestmark = [pytest.mark.timeout(TIMEOUT_S + 60), pytest.mark.usefixtures("shop_worker")]


@pytest.fixture
def check(shop_web: processes.Web, new_caller: Callable[..., httpx2.Client], tmp_path: Path) -> Callable[..., None]:
    """Run schemathesis against the real server as an admin; fails with its whole report."""

    def run(config: str, *arguments: str) -> None:
        file = tmp_path / "schemathesis.toml"
        file.write_text(config)
        key = new_caller("admin").headers["Authorization"]
        command = [processes.script("schemathesis"), "--config-file", file, "run", f"{shop_web.url}/openapi.json"]
        options = ["--max-examples", EXAMPLES, "--seed", 1, "--continue-on-failure", "--no-color", "--warnings", "off"]
        done = processes.run(
            *command, *options, "--header", f"Authorization: {key}", *arguments, cwd=tmp_path, timeout_s=TIMEOUT_S
        )
        assert done.returncode == 0, _report(done)

    return run


def _report(done: subprocess.CompletedProcess[str]) -> str:
    return "".join(done.stdout.partition("=== FAILURES")[1:]) or done.stdout + done.stderr


def test_every_operation_answers_as_it_says(check: Callable[..., None]) -> None:
    check(ANYTHING)


def test_resources_of_a_real_provider_answer_as_they_say(check: Callable[..., None]) -> None:
    check(REAL_RESOURCES, "--include-tag", "Resources")
