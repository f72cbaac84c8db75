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
# What a task takes, a schema of all jobs cannot say, nor a JSON Schema what a filter or a patch is in the end: some
# requests that fit it are refused with 422.
ANYTHING = """
request-timeout = 40  # seconds; a job that fails is tried again, and `?wait=30` waits for that

[checks]
# A list of more items than allowed may be larger than any body may be.
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 429]
# What DELETE asks for may take a moment, 202, and a job that was cancelled is still there to be looked at.
use_after_free.enabled = false

[[operations]]
include-path-regex = "^/jobs(/bulk)?$"
include-method = "POST"
checks.positive_data_acceptance.enabled = false

[[operations]]
include-path-regex = "^/model/"
include-method = ["GET", "PATCH"]
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
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 429]
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
    check(ANYTHING, "--exclude-path", "/events")  # its answer never ends


def test_resources_of_a_real_provider_answer_as_they_say(check: Callable[..., None]) -> None:
    check(REAL_RESOURCES, "--include-tag", "Resources")
