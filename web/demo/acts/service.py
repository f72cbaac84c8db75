"""What people who run it look at: health, readiness, metrics, the API's description and its page."""

from __future__ import annotations

import time

import httpx2

from web.demo.act import Outcome, Stage
from web.demo.failure import DemoFailed

TITLE = "Looking after it"

PAGES = ("/metrics", "/openapi.json", "/docs", "/static/docs.css")


def play(stage: Stage) -> Outcome:
    began = time.monotonic()
    stage.client.health()
    ready = stage.client.ready()
    if not ready.is_ready:
        wrong = "; ".join(f"{name}: {answer}" for name, answer in ready.checks.items() if answer != "ok")
        raise DemoFailed(f"the platform says it is not ready: {wrong}")
    status = stage.client.status()
    with httpx2.Client(base_url=stage.access.url, trust_env=False) as http:
        pages = {path: _page(http, path) for path in PAGES}
    samples = sum(1 for line in pages["/metrics"].splitlines() if line and not line.startswith("#"))
    jobs = ", ".join(f"{count} {state}" for state, count in status["jobs"].items() if count)
    return Outcome(
        headline=f"healthy, ready, {len(status['workers'])} worker, {samples} metrics",
        count=3 + len(pages),
        took_s=time.monotonic() - began,
        notes=[f"GET /status: {jobs}"],
    )


def _page(http: httpx2.Client, path: str) -> str:
    response = http.get(path)
    if response.status_code != 200:
        raise DemoFailed(f"GET {path} was answered {response.status_code}")
    return response.text
