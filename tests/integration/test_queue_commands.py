"""Queues from a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

Celery = Callable[..., CompletedProcess[str]]


def paused(celery: Celery) -> list[str]:
    return [queue["name"] for queue in json.loads(celery("queues", "ls", "--json").stdout) if queue["paused"]]


def test_queues_are_paused_listed_and_resumed(celery: Celery) -> None:
    done = celery("queues", "pause", "offload", "reports", queues="reports")
    assert (done.returncode, done.stdout.split()) == (0, ["paused", "offload", "paused", "reports"])
    table = celery("queues", "ls", queues="reports")
    assert (table.returncode, table.stderr) == (0, "")
    rows = {words[0]: words[1] for line in table.stdout.splitlines() if len(words := line.split()) > 9}
    assert (rows["offload"], rows["reports"], rows["batch"]) == ("paused", "paused", "active")
    assert "offload was paused by " in table.stdout
    assert celery("queues", "resume", "offload", "reports", queues="reports").returncode == 0
    assert paused(celery) == []


def test_the_json_has_everything_there_is_to_know(celery: Celery) -> None:
    offload = json.loads(celery("queues", "ls", "--json").stdout)[0]
    assert list(offload) == [
        *("name", "paused", "paused_at", "paused_by", "depth", "by_priority", "running", "scheduled", "retrying"),
        *("limited", "limits", "oldest_age_s", "rates", "consumers"),
    ]


def test_a_queue_is_limited_shown_and_freed(celery: Celery) -> None:
    done = celery("queues", "limit", "batch", "--concurrency", "2", "--rate", "10/s")
    assert (done.returncode, done.stdout) == (0, "batch: 2 at once, 10/s\n")
    (limits,) = [q["limits"] for q in json.loads(celery("queues", "ls", "--json").stdout) if q["limits"]]
    assert (limits["concurrency"], limits["rate"], limits["set_by"][:4]) == (2, "10/s", "cli:")
    assert "batch was limited to 2 at once, 10/s by cli:" in celery("queues", "ls").stdout
    assert celery("queues", "limit", "batch", "--rate", "5/h").stdout == "batch: 5/h\n"
    assert celery("queues", "limit", "batch", "--none").stdout == "batch: no limits\n"
    assert not any(q["limits"] for q in json.loads(celery("queues", "ls", "--json").stdout))


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (["batch"], 2, "give either --concurrency, --rate or both, or --none"),
        (["batch", "--rate", "1/s", "--none"], 2, "give either"),
        (["batch", "--rate", "fast"], 1, "rate limit 'fast': write 10/s, 100/m or 5/h"),
        (["batch", "--concurrency", "0"], 1, "concurrency 0 is not between 1 and 1000"),
        (["ofload", "--rate", "1/s"], 1, "did you mean 'offload'"),
        (["dead-letter", "--none"], 1, "it can be neither paused, resumed nor limited"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(celery: Celery, options: list[str], code: int, text: str) -> None:
    done = celery("queues", "limit", *options)
    assert (done.returncode, text in done.stderr, done.stdout) == (code, True, "")


def test_a_wrong_name_is_told_and_nothing_is_paused(celery: Celery) -> None:
    done = celery("queues", "pause", "batch", "ofload")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == "Error: there is no queue 'ofload'; did you mean 'offload'?"
    refused = celery("queues", "pause", "dead-letter")
    assert (refused.returncode, "dead-letter" in refused.stderr) == (1, True)
    assert celery("queues", "pause").returncode == 2
    assert paused(celery) == []


def test_a_store_that_is_away_is_told_in_a_sentence(celery: Celery) -> None:
    away = "redis://127.0.0.1:1/0"
    for command in (["ls"], ["pause", "offload"]):
        done = celery("queues", *command, broker_url=away, redis_url=away)
        assert (done.returncode, done.stderr.startswith("Error: the record store did not answer")) == (1, True)
