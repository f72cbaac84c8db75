"""What becomes of items: tried again, failed, killed with their process or their worker; and callbacks, once each."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.integration.batches.conftest import counts, ended, items, show, submit
from tests.integration.conftest import Shop
from tests.waiting import eventually


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
def bob(shop: Shop, shop_worker: object, new_caller: Callable[..., httpx2.Client]) -> httpx2.Client:
    """A caller of a platform with a worker that nothing kills."""
    return new_caller()


def runs(notes: Path) -> Counter[str]:
    return Counter(notes.read_text().split())


def report(path: Path, **more: Any) -> dict:
    return {"task": "batched.report", "kwargs": {"path": str(path), **more}}


def test_a_failed_item_is_tried_again_and_holds_up_nobody(bob: httpx2.Client, notes: Path) -> None:
    kwargs = {"path": str(notes), "failures": 2, "of": [1, 3]}
    batch = ended(bob, submit(bob, "noted", 5, kwargs=kwargs, chunk_size=5))
    assert counts(batch) == ("completed", 5, 0, 0)
    assert runs(notes) == Counter({"0": 1, "1": 3, "2": 1, "3": 3, "4": 1})
    assert [one["attempts"] for one in items(bob, batch)["items"]] == [1, 3, 1, 3, 1]


def test_an_item_that_goes_on_failing_is_listed_as_failed(bob: httpx2.Client, notes: Path) -> None:
    kwargs = {"path": str(notes), "failures": 9, "of": [1]}
    batch = ended(bob, submit(bob, "noted", 3, kwargs=kwargs))
    assert counts(batch) == ("failed", 2, 1, 0)
    failed = items(bob, batch, state="failed")["items"][0]
    assert (failed["attempts"], failed["error"]["message"]) == (3, "run 3 of 1")


def test_what_can_never_succeed_is_not_tried_again(bob: httpx2.Client) -> None:
    batch = ended(bob, submit(bob, "never", 2))
    assert counts(batch) == ("failed", 0, 2, 0)
    assert items(bob, batch)["items"][0]["attempts"] == 1


@pytest.mark.parametrize("how", ["raise", "retry"])
def test_an_item_says_itself_when_it_is_to_be_tried_again(bob: httpx2.Client, how: str) -> None:
    batch = ended(bob, submit(bob, "later", 2, kwargs={"how": how}))
    assert counts(batch) == ("completed", 2, 0, 0)
    assert [one["result"] for one in items(bob, batch)["items"]] == [1, 1]


def test_a_result_that_cannot_be_kept_fails_its_item_alone(bob: httpx2.Client) -> None:
    batch = ended(bob, submit(bob, "strict", 4, chunk_size=4))
    assert counts(batch) == ("failed", 2, 2, 0)
    errors = {one["index"]: one["error"]["type"] for one in items(bob, batch, state="failed")["items"]}
    assert errors == {1: "NotJSON", 2: "TooLarge"}


def test_an_error_that_is_no_utf8_fails_its_item_alone(bob: httpx2.Client) -> None:
    batch = ended(bob, submit(bob, "unreadable", 4, chunk_size=4))
    assert counts(batch) == ("failed", 3, 1, 0)
    failed = items(bob, batch, state="failed")["items"][0]
    assert (failed["index"], failed["error"]["message"]) == (1, "no such file: caf\\udce9")


def test_a_tasks_own_time_limit_holds_for_each_item(bob: httpx2.Client) -> None:
    batch = submit(bob, "limited", 3)
    assert batch["chunk_size"] == 1
    assert counts(ended(bob, batch, 60)) == ("failed", 2, 1, 0)
    assert items(bob, batch, state="failed")["items"][0]["error"]["type"] == "TimeLimitExceeded"


def test_callbacks_run_once_each_and_see_the_end(bob: httpx2.Client, notes: Path) -> None:
    told = {kind: report(notes, word=kind) for kind in ("on_complete", "on_success", "on_failure")}
    good = ended(bob, submit(bob, "square", 40, chunk_size=3, **told))
    eventually(lambda: notes.exists() and len(notes.read_text().splitlines()) == 2)
    assert sorted(notes.read_text().splitlines()) == [
        f"on_complete {good['batch_id']} completed 40 0",
        f"on_success {good['batch_id']} completed 40 0",
    ]
    assert good["on_complete"]["job_id"]
    assert good["on_failure"]["job_id"] is None


def test_on_success_may_come_after_a_repair_and_on_complete_not_twice(bob: httpx2.Client, notes: Path) -> None:
    told = {kind: report(notes, word=kind) for kind in ("on_complete", "on_success", "on_failure")}
    marks = notes.with_name("marks")
    kwargs = {"path": str(marks), "failures": 1, "of": [2]}
    batch = ended(bob, submit(bob, "noted", 4, kwargs=kwargs, max_retries=0, **told))
    bob.post(f"/batches/{batch['batch_id']}/retry")
    assert counts(ended(bob, batch)) == ("completed", 4, 0, 0)
    eventually(lambda: notes.exists() and len(notes.read_text().splitlines()) == 3)
    assert sorted(line.split()[0] for line in notes.read_text().splitlines()) == [
        "on_complete",
        "on_failure",
        "on_success",
    ]


def test_a_batch_made_by_an_item_is_its_child(bob: httpx2.Client) -> None:
    batch = ended(bob, submit(bob, "nest", 2, kwargs={"size": 3}))
    children = [one["result"] for one in items(bob, batch)["items"]]
    for child in children:
        assert counts(ended(bob, {"batch_id": child})) == ("completed", 3, 0, 0)
    seen = show(bob, batch)["children"]
    assert sorted(one["batch_id"] for one in seen) == sorted(children)
    assert {(one["parent_id"], one["owner"]) for one in seen} == {(batch["batch_id"], batch["owner"])}


def test_an_item_adds_items_to_its_own_batch(bob: httpx2.Client) -> None:
    batch = ended(bob, submit(bob, "grow", 3))
    assert (batch["total"], batch["completed"]) == (13, 13)


def test_long_items_are_spread_over_the_workers(bob: httpx2.Client, notes: Path) -> None:
    """A chunk is at work for ten seconds; what is left of it then goes on in two others."""
    batch = ended(bob, submit(bob, "pause", 24, kwargs={"seconds": 1, "path": str(notes)}, chunk_size=24), 90)
    assert counts(batch) == ("completed", 24, 0, 0)
    assert set(runs(notes).values()) == {1}
    jobs = bob.get("/jobs", params={"task": "tasks.batch.run"}).json()
    assert jobs["total"] >= 3
    assert {job["parent_id"] for job in jobs["items"]} == {batch["batch_id"]}


def test_an_item_that_kills_its_process_takes_nobody_with_it(bob: httpx2.Client, notes: Path) -> None:
    kwargs = {"path": str(notes), "bad": [3]}
    batch = submit(bob, "poison", 8, kwargs=kwargs, chunk_size=8, on_complete=report(notes.with_name("end")))
    done = ended(bob, batch)
    assert counts(done) == ("failed", 7, 1, 0)
    failed = items(bob, batch, state="failed")["items"][0]
    assert (failed["index"], failed["error"]["type"]) == (3, "WorkerCrashed")
    assert runs(notes)["3"] <= 4
    assert set(runs(notes)) == {str(number) for number in range(8)}
    eventually(lambda: notes.with_name("end").exists())
    assert len(notes.with_name("end").read_text().splitlines()) == 1


def test_many_that_kill_their_process_are_found_one_by_one(bob: httpx2.Client, notes: Path) -> None:
    batch = submit(bob, "poison", 12, kwargs={"path": str(notes), "bad": [0, 5, 11], "how": "kill"}, chunk_size=12)
    assert counts(ended(bob, batch, 90)) == ("failed", 9, 3, 0)
    assert [one["index"] for one in items(bob, batch, state="failed")["items"]] == [0, 5, 11]


class TestKills:
    """On a platform whose workers are killed."""

    @pytest.fixture
    def carol(self, shop: Shop, new_caller: Callable[..., httpx2.Client]) -> httpx2.Client:
        return new_caller()

    def test_a_killed_child_costs_no_item_and_counts_none_twice(
        self, shop: Shop, carol: httpx2.Client, notes: Path
    ) -> None:
        worker = shop.start_worker()
        kwargs = {"path": str(notes), "at": 150}
        batch = submit(carol, "kill_once", 400, kwargs=kwargs, on_complete=report(notes.with_name("end")))
        assert counts(ended(carol, batch)) == ("completed", 400, 0, 0)
        assert len(runs(notes)) == 400
        worker.stop()

    def test_a_killed_worker_costs_no_item_and_counts_none_twice(
        self, shop: Shop, carol: httpx2.Client, notes: Path
    ) -> None:
        """Somebody kills it with all it started, in the middle; another one does what is left."""
        first = shop.start_worker(lease_ttl_s=2)
        end = notes.with_name("end")
        kwargs = {"seconds": 0.01, "path": str(notes)}
        batch = submit(carol, "pause", 600, kwargs=kwargs, on_complete=report(end), on_success=report(end))
        eventually(lambda: show(carol, batch)["completed"] > 100, 30)
        first.kill_group()
        before = show(carol, batch)
        assert before["state"] == "running"
        second = shop.start_worker(lease_ttl_s=2)
        done = ended(carol, batch, 90)
        assert counts(done) == ("completed", 600, 0, 0)
        assert len(runs(notes)) == 600
        eventually(lambda: end.exists() and len(end.read_text().splitlines()) == 2, 20)
        second.stop()

    def test_a_worker_that_was_frozen_counts_nothing_a_second_time(
        self, shop: Shop, carol: httpx2.Client, notes: Path
    ) -> None:
        first = shop.start_worker(lease_ttl_s=2, concurrency=1)
        batch = submit(carol, "pause", 300, kwargs={"seconds": 0.02, "path": str(notes)}, chunk_size=50)
        eventually(lambda: show(carol, batch)["completed"] > 30, 30)
        os.killpg(first.pid, signal.SIGSTOP)
        second = shop.start_worker(lease_ttl_s=2)
        eventually(lambda: show(carol, batch)["completed"] > 250, 60)
        os.killpg(first.pid, signal.SIGCONT)
        assert counts(ended(carol, batch)) == ("completed", 300, 0, 0)
        first.stop()
        assert counts(show(carol, batch)) == ("completed", 300, 0, 0)
        second.stop()
