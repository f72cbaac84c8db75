"""What commands print for scripts: run in this process, for each of them takes a second to start."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from platform.jobs.ledger import ledger
from platform.queueing.overview import queue_now
from platform.schedules.register import register
from tasks.commands.config import config
from tasks.commands.jobs import jobs
from tasks.commands.queues import queues
from tasks.commands.schedules import schedules

pytestmark = pytest.mark.usefixtures("broker_url")
COUNT = ("submit", "tasks.files.count", "-a", '["/etc/hosts"]')


def run(group: Any, *args: str) -> Result:
    return CliRunner().invoke(group, args)


def told(group: Any, *args: str, code: int = 0) -> Any:
    done = run(group, *args, "--json")
    assert (done.exit_code, done.stderr) == (code, "")
    return json.loads(done.stdout)


def test_a_job_is_printed_by_whatever_acts_on_it() -> None:
    job = told(jobs, *COUNT, "--countdown", "60")
    assert (job["task"], job["state"]) == ("tasks.files.count", "scheduled")
    assert told(jobs, "show", job["job_id"]) == job == json.loads(run(jobs, "show", job["job_id"]).stdout)
    assert told(jobs, "wait", job["job_id"], "--timeout", "0", code=1) == job
    assert told(jobs, "cancel", job["job_id"])["state"] == "cancelled"
    assert told(jobs, *COUNT, "--wait", "0", code=1)["state"] == "pending"


@pytest.mark.parametrize(
    ("group", "args", "says"),
    [
        (jobs, ("submit", "tasks.files.cuont"), "did you mean 'tasks.files.count'?"),
        (jobs, ("show", "nope"), "nope"),
        (jobs, ("cancel", "nope"), "nope"),
        (queues, ("pause", "batch", "ofload"), "did you mean 'offload'?"),
        (schedules, ("rm", "nope"), "there is no schedule 'nope'"),
    ],
)
def test_a_failure_is_a_sentence_and_no_json(group: Any, args: tuple[str, ...], says: str) -> None:
    done = run(group, *args, "--json")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("Error: ")
    assert says in done.stderr


def test_a_job_that_has_ended_is_not_cancelled_and_not_printed() -> None:
    job_id = run(jobs, *COUNT).stdout.strip()
    ledger().cancel(job_id)
    done = run(jobs, "cancel", job_id, "--json")
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", "Error: the job is cancelled already\n")


def test_queues_are_printed_as_they_are_then() -> None:
    assert [(q["name"], q["paused"]) for q in told(queues, "pause", "batch", "fanout")] == [
        ("batch", True),
        ("fanout", True),
    ]
    assert [(q["name"], q["paused"]) for q in told(queues, "resume", "batch")] == [("batch", False)]
    limited = told(queues, "limit", "batch", "--rate", "10/s")
    assert (limited["limits"]["rate"], limited.keys()) == ("10/s", queue_now("batch").as_dict().keys())
    assert told(queues, "limit", "batch", "--none")["limits"] is None


def test_schedules_that_are_gone_are_named_also_where_another_is_unknown() -> None:
    made = [
        told(schedules, "add", name, "--task", "tasks.files.count", "-a", '["/x"]', "--every", "60")["id"]
        for name in ("a", "b", "c")
    ]
    assert told(schedules, "rm", "a", made[1]) == [{"deleted": made[0]}, {"deleted": made[1]}]
    done = run(schedules, "rm", "c", "nope", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (1, [{"deleted": made[2]}])
    assert "there is no schedule 'nope'" in done.stderr
    assert register().page(None, 0, 10).total == 0


def test_a_check_of_the_settings_answers_as_ready_does(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = dict.fromkeys(("settings", "modules", "broker", "records", "database"), "ok")
    assert told(config, "check") == {"status": "ready", "checks": checks}
    monkeypatch.setattr("platform.health._records", _away)
    found = told(config, "check", code=1)
    assert (found["status"], found["checks"]) == ("not ready", checks | {"records": "OSError: away"})


def _away() -> None:
    raise OSError("away")
