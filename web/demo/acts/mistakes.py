"""Wrong requests, on purpose: each is refused with a sentence that says what to do."""

from __future__ import annotations

import time
from collections.abc import Callable

from web.client import APIError, Client
from web.demo.act import Outcome, Stage
from web.demo.failure import DemoFailed

TITLE = "Mistakes"

MISTAKES: list[tuple[str, int, Callable[[Client], object]]] = [
    ("a misspelt task", 404, lambda client: client.jobs.submit("tasks.files.cuont", "/x")),
    ("priority 12", 422, lambda client: client.jobs.submit("tasks.files.count", "/x", priority=12)),
    ("a misspelt argument", 422, lambda client: client.call("Files", "statistics", pth="/x")),
    ("a resource's wrong type", 422, lambda client: client.resources.put("files", "checksun", "x", {"path": "/x"})),
]


def play(stage: Stage) -> Outcome:
    began = time.monotonic()
    notes = [_refused(stage.client, *mistake) for mistake in MISTAKES]
    return Outcome(
        headline=f"{len(notes)} wrong requests refused, each with its reason",
        count=len(notes),
        took_s=time.monotonic() - began,
        notes=notes,
    )


def _refused(client: Client, name: str, status: int, ask: Callable[[Client], object]) -> str:
    try:
        ask(client)
    except APIError as exc:
        if exc.status_code != status:
            raise
        return f"{name}: {status}, {exc}"
    raise DemoFailed(f"{name} was accepted")
