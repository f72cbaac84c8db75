"""This platform over HTTP: ``POST /jobs`` on one connection that stays open, with the standard library's client."""

import http.client
import json
import os
from functools import cache

from bench.systems.platform_tasks import DISTRIBUTION, recorded

__all__ = ["DISTRIBUTION", "recorded", "submit"]


@cache
def _connection() -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", int(os.environ["BENCH_HTTP_PORT"]), timeout=20)


def submit(goal: int) -> None:
    headers = {"Authorization": f"Bearer {os.environ['BENCH_API_KEY']}", "Content-Type": "application/json"}
    body = json.dumps({"task": "bench.systems.platform_tasks.job", "args": [goal]})
    _connection().request("POST", "/jobs", body, headers)
    answer = _connection().getresponse()
    text = answer.read()
    if answer.status != 202:
        raise RuntimeError(f"POST /jobs answered {answer.status}: {text.decode()}")
