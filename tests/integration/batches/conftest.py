"""Batches over HTTP: the module ``batched``, and what most tests ask."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.waiting import eventually


@pytest.fixture(scope="module")
def module_of_tasks() -> str:
    return "batched"


def submit(caller: httpx2.Client, task: str, items: Any, **more: Any) -> dict:
    """A batch of the items, or of that many."""
    given = {"count": items} if isinstance(items, int) else {"items": items}
    answer = caller.post("/batches", json={"task": f"batched.{task}", **given, **more})
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/batches/{answer.json()['batch_id']}"
    return answer.json()


def show(caller: httpx2.Client, batch: dict) -> dict:
    answer = caller.get(f"/batches/{batch['batch_id']}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def ended(caller: httpx2.Client, batch: dict, timeout_s: float = 60) -> dict:
    """The batch once it has ended; its numbers add up at every moment."""

    def look() -> dict | None:
        now = caller.get(f"/batches/{batch['batch_id']}", params={"wait": 5}).json()
        assert now["done"] == now["completed"] + now["failed"] + now["cancelled"]
        assert now["total"] == now["done"] + now["pending"] + now["running"]
        return now if now["state"] in ("completed", "failed", "cancelled") else None

    return eventually(look, timeout_s)


def items(caller: httpx2.Client, batch: dict, **query: Any) -> dict:
    answer = caller.get(f"/batches/{batch['batch_id']}/items", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def counts(batch: dict) -> tuple[str, int, int, int]:
    return batch["state"], batch["completed"], batch["failed"], batch["cancelled"]
