"""Messages no worker can run: each is with the dead letters as it came, and the next good job starts at once."""

from __future__ import annotations

import base64
import time
from collections import Counter
from typing import Any

import pytest

from tests.chaos.deployment import Deployment
from tests.chaos.malformed import PARTS, WHOLE, Slot, is_of
from tests.chaos.report import report
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(600)

# A job submitted right behind a message like these has completed within this, in seconds.
AT_ONCE_S = 3.0
# The last letter has been written this long after the last message, in seconds.
PATIENCE_S = 20.0


def test_every_message_that_cannot_be_run_is_kept_and_the_worker_goes_on(standing: Deployment) -> None:
    slot, worker = Slot(standing), standing.places[0].worker
    before = {letter["dead_letter_id"] for letter in letters(standing)}
    waits = [after_which_a_job_completes(standing, lambda part=part: slot.put(part)) for part in PARTS]
    whole = WHOLE if slot.is_redis else []
    waits += [after_which_a_job_completes(standing, lambda item=item: slot.put_bytes(item)) for item in whole]
    new = await_new(standing, before, len(PARTS) + len(whole))
    assert worker.is_alive
    assert worker.text().count("ready.") == 1, "it connected again"
    wrong = {
        part: reasons
        for part in PARTS
        if (reasons := [letter["reason"] for letter in new if is_of(part, letter, slot.is_redis)]) != [part.reason]
    }
    assert wrong == {}
    kept = Counter(base64.b64decode(letter["message"]["base64"]) for letter in new)
    assert {item: kept[item] for item in whole if kept[item] != 1} == {}
    assert max(waits) < AT_ONCE_S
    report(
        f"malformed on {standing.label}",
        f"{len(new)} messages, {len(new)} dead letters with their bytes",
        f"the next job was done after {max(waits):.2f} s at most",
    )


def after_which_a_job_completes(deployment: Deployment, put: Any) -> float:
    """Put a message, submit a job behind it, and wait for its end; in seconds."""
    put()
    began = time.monotonic()
    job_id = deployment.submit("work", 0)
    job = deployment.get(f"/jobs/{job_id}", wait=20)
    assert job["state"] == "completed", job
    return time.monotonic() - began


def await_new(deployment: Deployment, before: set[str], count: int) -> list[dict[str, Any]]:
    """The letters written since, in full, once there are so many."""

    def new() -> list[dict[str, Any]]:
        deployment.forward_clock(10)  # what no worker knows is put back a few times, and comes again later
        found = [letter for letter in letters(deployment) if letter["dead_letter_id"] not in before]
        is_done = len(found) >= count or time.monotonic() > deadline  # then it is told which are missing
        return found if is_done else []

    deadline = time.monotonic() + PATIENCE_S
    return [deployment.get(f"/dead-letters/{one['dead_letter_id']}") for one in eventually(new, 60, poll_s=0.5)]


def letters(deployment: Deployment) -> list[dict[str, Any]]:
    return deployment.get("/dead-letters", limit=500)["items"]
