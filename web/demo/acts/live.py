"""Sockets: devices that follow documents, a room and a job, and what each of them is told while it happens."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import pairwise
from typing import Any, TypeVar

from web.client import Client
from web.client.sockets import JobChanged, Message, ModelCreated, ModelUpdated, Socket, Subscription, document_after
from web.demo.act import Outcome, Stage, duration, percentile
from web.demo.failure import DemoFailed

TITLE = "Sockets"

DEVICES = 20
CHANGES = 25
WAIT_S = 20.0
TYPE = "task"
Told = TypeVar("Told", ModelCreated, ModelUpdated)


def play(stage: Stage) -> Outcome:
    began = time.monotonic()
    with ExitStack() as stack:
        sockets = [stack.enter_context(stage.client.socket()) for _ in range(DEVICES)]
        tasks = [socket.subscribe(model=TYPE) for socket in sockets]
        connected_s = time.monotonic() - began
        times_s = _pushed(stage, tasks)
        heard = _said(sockets)
        states = _lived(stage, sockets[0])
        path = str(stage.folder.sample(1)[0])
        sha256 = sockets[0].call("Files", "checksum", path=path).result["sha256"]
    missed = _missed(stage.client, tasks[0])
    return Outcome(
        headline=f"{CHANGES} changes pushed to {DEVICES} devices {duration(percentile(times_s, 0.5))} after each PATCH",
        count=CHANGES * DEVICES,
        took_s=time.monotonic() - began,
        times_s=times_s,
        notes=[
            f"{DEVICES} sockets connected and following in {duration(connected_s)}",
            f"each saw versions 1 to {CHANGES + 1} once and in order (p95 {duration(percentile(times_s, 0.95))})",
            f"a message to a room: {heard} devices heard it",
            f"a job's life: {' → '.join(states)}; a call over the socket ran on a worker: sha256 {sha256[:16]}…",
            f"a device that was away was told the {missed} changes it missed, and nothing twice",
        ],
    )


def _pushed(stage: Stage, followers: Sequence[Subscription]) -> list[float]:
    """Change one document again and again; how long after each request every device had it, in seconds."""
    documents = stage.client.model(TYPE)
    began, times_s = time.monotonic(), []
    document = documents.create({"title": "watched"}, wait_s=WAIT_S)
    seen: list[dict[str, Any] | None] = [
        _next_of(follower, document.id, ModelCreated).document for follower in followers
    ]
    times_s.extend([time.monotonic() - began] * len(followers))
    for number in range(1, CHANGES + 1):
        began = time.monotonic()
        documents.patch(document.id, [{"op": "replace", "path": "/n", "value": number}])
        for place, follower in enumerate(followers):
            event = _next_of(follower, document.id, ModelUpdated)
            seen[place] = document_after(seen[place], event)
            times_s.append(time.monotonic() - began)
        stage.report(number, CHANGES, "pushed")
    if any(one is None or one["n"] != CHANGES or one["version"] != CHANGES + 1 for one in seen):
        raise DemoFailed(f"the pushed changes do not make the stored document: {seen[0]}")
    return times_s


def _next_of(follower: Subscription, document_id: str, kind: type[Told]) -> Told:
    """The next event of the document; other acts' documents are of other types."""
    while True:
        event = follower.next(timeout_s=WAIT_S)
        if isinstance(event, kind) and event.id == document_id:
            return event


def _said(sockets: Sequence[Socket]) -> int:
    rooms = [socket.subscribe(room="demo") for socket in sockets]
    sockets[0].publish("demo", {"text": "hello"})
    heard = [room.next(timeout_s=WAIT_S) for room in rooms]
    if any(not isinstance(message, Message) or message.data != {"text": "hello"} for message in heard):
        raise DemoFailed(f"a room heard something else: {heard}")
    return len(heard)


def _lived(stage: Stage, socket: Socket) -> list[str]:
    """The states of a job that were told, one after the other."""
    path = str(stage.folder.sample(1)[0])
    job = stage.client.jobs.submit("tasks.files.count", path)
    states: list[str] = []
    for event in socket.follow_job(job.job_id):
        if isinstance(event, JobChanged):
            states.append(event.job.state)
            if event.job.state in ("completed", "failed", "cancelled"):
                break
    return [state for state, after in pairwise([*states, ""]) if state != after]


def _missed(client: Client, left: Subscription) -> int:
    """A device comes back after changes: what it had not seen is told first."""
    documents = client.model(TYPE)
    for number in range(3):
        documents.create({"title": f"while away {number}"}, wait_s=WAIT_S)
    with client.socket() as socket:
        back = socket.subscribe(model=TYPE, since=left.position)
        titles = [back.next(timeout_s=WAIT_S).data["title"] for _ in range(3)]
    if titles != [f"while away {number}" for number in range(3)]:
        raise DemoFailed(f"a device that came back was told {titles}")
    return len(titles)
