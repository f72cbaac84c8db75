"""``celery -A platform schedules`` as people and scripts meet it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.conftest import Shop


def ran(shop: Shop, *args: str, code: int = 0) -> str:
    done = shop.celery("schedules", *args)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def listed(shop: Shop) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in json.loads(ran(shop, "ls", "--json"))}


def test_a_schedule_is_added_listed_paused_resumed_run_and_removed(shop: Shop) -> None:
    assert ran(shop, "ls", "--json").strip() == "[]"
    said = ["--task", "shop.add", "--cron", "*/5 * * * *", "--timezone", "Europe/Berlin", "--args", "[1]"]
    made = json.loads(ran(shop, "add", "five", *said, "--kwargs", '{"b": 2}', "--missed", "skip", "--json"))
    assert (made["args"], made["kwargs"], made["timezone"], made["missed"], made["owner"]) == (
        [1], {"b": 2}, "Europe/Berlin", "skip", None,
    )  # fmt: skip
    assert listed(shop)["five"]["id"] == made["id"]
    table = shop.celery("schedules", "ls")
    assert ("*/5 * * * *" in table.stdout, "no scheduler acts" in table.stderr) == (True, True)
    assert ran(shop, "pause", "five") == "paused five\n"
    assert listed(shop)["five"]["paused"] is True
    assert json.loads(ran(shop, "resume", made["id"], "--json"))[0]["paused"] is False
    job_id = ran(shop, "run", "five").strip()
    assert json.loads(shop.celery("jobs", "show", job_id).stdout)["task"] == "shop.add"
    assert json.loads(ran(shop, "run", "five", "--json"))["queue"] == "offload"
    assert ran(shop, "rm", "five") == "removed five\n"
    assert listed(shop) == {}


def test_an_interval_may_be_added_paused(shop: Shop) -> None:
    assert "paused" in ran(shop, "add", "later", "--task", "shop.add", "--every", "60", "-a", "[1, 2]", "--paused")
    assert (listed(shop)["later"]["every_s"], listed(shop)["later"]["next_run_at"]) == (60.0, None)
    ran(shop, "rm", "later")


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["--task", "shop.ad", "--every", "60"], 1, "there is no task 'shop.ad'; did you mean 'shop.add'?"),
        (["--task", "shop.add", "-a", "[1, 2]"], 1, "cron: give cron, such as '*/5 * * * *', or every_s"),
        (["--task", "shop.add", "-a", "[1, 2]", "--cron", "61 * * * *"], 1, "cron: minute: 61 is out of range"),
        (["--task", "shop.add", "-a", "[1, 2]", "--every", "60", "--timezone", "Berlin"], 1, "mean 'Europe/Berlin'?"),
        (["--task", "shop.add", "-a", "[1, 2, 3]", "--every", "60"], 1, "too many positional arguments"),
        (["--task", "shop.add", "-a", "{}", "--every", "60"], 2, "is not a JSON list"),
        (["--every", "60"], 2, "--task"),
    ],
)
def test_what_makes_no_sense_is_told_in_a_sentence(shop: Shop, args: list[str], code: int, words: str) -> None:
    told = ran(shop, "add", "wrong", *args, code=code)
    assert (words in told, "Traceback" in told) == (True, False), told


def test_an_unknown_name_is_told_with_the_nearest(shop: Shop) -> None:
    ran(shop, "add", "nightly", "--task", "shop.add", "--cron", "@daily", "-a", "[1, 2]")
    assert "there is no schedule 'nightli'; did you mean 'nightly'?" in ran(shop, "rm", "nightli", code=1)
    assert "called 'nightly' already" in ran(
        shop, "add", "nightly", "--task", "shop.add", "--cron", "@daily", "-a", "[1, 2]", code=1
    )
    ran(shop, "rm", "nightly")
