"""This platform over HTTP: ``POST /jobs`` on one connection that stays open, with the standard library's client."""

import http.client
import json
import os
from functools import cache

from bench.systems.platform_tasks import DISTRIBUTION, recorded

__all__ = ["DISTRIBUTION", "batch", "recorded", "submit"]


@cache
def _connection() -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", int(os.environ["BENCH_HTTP_PORT"]), timeout=20)


def submit(goal: int) -> None:
    _post("/jobs", {"task": "bench.systems.platform_tasks.job", "args": [goal]})


def batch(items: int) -> None:
    module = "bench.systems.platform_tasks"
    _post(
        "/batches", {"task": f"{module}.item", "items": list(range(items)), "on_complete": {"task": f"{module}.ended"}}
    )


def _post(path: str, body: dict[str, object]) -> None:
    headers = {"Authorization": f"Bearer {os.environ['BENCH_API_KEY']}", "Content-Type": "application/json"}
    _connection().request("POST", path, json.dumps(body), headers)
    answer = _connection().getresponse()
    text = answer.read()
    if answer.status != 202:
        raise RuntimeError(f"POST {path} answered {answer.status}: {text.decode()}")
