"""What most tests over HTTP do: submit a job of the module ``shop``, and wait for its end."""

from __future__ import annotations

import httpx2


def submit(caller: httpx2.Client, task: str, *args: object, **more: object) -> dict:
    answer = caller.post("/jobs", json={"task": f"shop.{task}", "args": list(args), **more})
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/jobs/{answer.json()['job_id']}"
    return answer.json()


def ended(caller: httpx2.Client, job_id: str) -> dict:
    return caller.get(f"/jobs/{job_id}", params={"wait": 20}).json()
