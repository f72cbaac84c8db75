"""The process that asks for changes of documents, from Python and over HTTP: ``python -m bench.systems.changes``.

It is asked and answers as ``bench.systems.driver`` is. When a change was in its stream is told by the stream itself: an
offset is the microsecond at which it was appended.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import tasks  # noqa: F401 - first: it makes `platform` complete
from bench.systems.driver import answer_all
from platform import store
from platform.documents.change import Change
from platform.documents.filters import parsed
from platform.jobs.ledger import ledger
from platform.routing.subscriptions import Group, subscriptions
from platform.settings import settings
from platform.streams.delivery import streams
from platform.streams.names import View, stream_key
from tasks import app, pipeline

MODEL = "task"
PORTION = 100
CONNECTIONS = 4
OFFERED_PER_S = 100
PROCESSES = 2
FILTERS = 10
PATIENCE_S = 60
UNENDED = ("pending", "scheduled", "running", "retrying")


class Changes:
    """Its public methods are what ``do`` may name."""

    def __init__(self) -> None:
        app.load_everything()
        self._app_id = settings().app_id
        self._stream = stream_key(store.key_prefix(), View(self._app_id, MODEL).stream)
        self._documents: list[str] = []
        self._appended = 0
        for process in range(PROCESSES):
            subscriptions().open(f"process{process}", ttl_s=3_600)
            subscriptions().join(f"process{process}", list(self._groups()))

    # -- from Python, beforehand

    def create(self, jobs: int) -> dict[str, float]:
        """Ask for so many new documents."""
        self._documents = [uuid.uuid4().hex for _ in range(jobs)]
        return self._submit([self._change("create", id, data=fields(n)) for n, id in enumerate(self._documents)])

    def patch(self, jobs: int) -> dict[str, float]:
        """Ask for a patch of each of the documents made last, as often as need be."""
        made = self._documents
        return self._submit([self._change("patch", made[n % len(made)], patch=operations(n)) for n in range(jobs)])

    def finish(self, jobs: int) -> dict[str, float]:
        """When the last of so many changes was in the stream, once they are and no job is under way."""
        at = self._await(jobs)
        eventually(lambda: not any(ledger().counts()[""][state] for state in UNENDED), "jobs are still under way")
        counts = ledger().counts()[""]
        return {"at": at, "failed": counts["failed"], "resyncs": streams().counts().get("resyncs", 0)}

    # -- over HTTP

    def idle(self, jobs: int) -> dict[str, list[float]]:
        """Milliseconds from sending a create until it is in the stream; the next one is sent when it is there."""
        connection, found = Connection(), []
        for n in range(jobs):
            began = time.time()
            connection.create(n)
            found.append((self._await(1) - began) * 1000)
        return {"ms": found}

    def offered(self, jobs: int) -> dict[str, list[float]]:
        """As ``idle``, of creates that are due at even times, 100 in a second, whatever became of those before."""
        began = time.time()
        due = [began + n / OFFERED_PER_S for n in range(jobs)]
        self._over_http(jobs, lambda n: time.sleep(max(0.0, due[n] - time.time())))
        return {"ms": [(at - due[n]) * 1000 for n, at in self._arrivals(jobs)]}

    def flood(self, jobs: int) -> dict[str, float]:
        """Seconds for so many creates on four connections, each sending when it was answered, to be in the stream."""
        began = time.time()
        self._over_http(jobs, lambda n: None)
        return {"seconds": self._await(jobs) - began}

    # -- plumbing

    def _groups(self) -> Iterator[Group]:
        for number in range(FILTERS):
            yield Group(View(self._app_id, MODEL).channel, parsed({"n": {"$gte": 10 * number}}))

    def _change(self, act: Any, id: str, **more: Any) -> Change:
        return Change(change_id=str(uuid.uuid4()), act=act, app_id=self._app_id, type=MODEL, id=id, **more)

    def _submit(self, changes: list[Change]) -> dict[str, float]:
        began = time.perf_counter()
        for first in range(0, len(changes), PORTION):
            pipeline.submit(changes[first : first + PORTION])
        return {"seconds": time.perf_counter() - began}

    def _await(self, jobs: int) -> float:
        """When the last of so many more changes was in the stream, in seconds since 1970."""
        self._appended += jobs
        pause_s = 0.02 if jobs > 1 else 0.001
        eventually(lambda: streams().counts().get("appended", 0) >= self._appended, "changes are missing", pause_s)
        found: Any = store.client().xrevrange(self._stream, count=1)
        return _at(found[0][0])

    def _over_http(self, jobs: int, wait: Callable[[int], None]) -> None:
        failed: list[Exception] = []

        def send(first: int) -> None:
            try:
                connection = Connection()
                for n in range(first, jobs, CONNECTIONS):
                    wait(n)
                    connection.create(n)
            except Exception as exc:  # noqa: BLE001 - raised below, where it ends the program
                failed.append(exc)

        threads = [threading.Thread(target=send, args=(first,)) for first in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]

    def _arrivals(self, jobs: int) -> list[tuple[int, float]]:
        """The number of each of the last documents, and when it was in the stream."""
        self._await(jobs)
        found: Any = store.client().xrevrange(self._stream, count=jobs)
        return [(json.loads(entry["document"])["n"], _at(offset)) for offset, entry in found]


class Connection:
    """One that stays open, with the standard library's client."""

    def __init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["BENCH_HTTP_PORT"]), timeout=20)
        key = os.environ["BENCH_API_KEY"]
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def create(self, n: int) -> None:
        self._connection.request("POST", f"/model/{MODEL}", json.dumps(fields(n)), self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 202:
            raise RuntimeError(f"POST /model/{MODEL} answered {answer.status}: {text.decode()}")


def fields(n: int) -> dict[str, Any]:
    """A new document's, of 300 bytes."""
    return {"title": f"Something to do, number {n}", "n": n, "tags": ["bench"], "details": {"text": "x" * 200}}


def operations(n: int) -> list[dict[str, Any]]:
    return [
        {"op": "replace", "path": "/n", "value": (7 * n) % 100},
        {"op": "add", "path": "/details/round", "value": n},
    ]


def eventually(is_so: Callable[[], bool], otherwise: str, pause_s: float = 0.02) -> None:
    """Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{otherwise} after {PATIENCE_S} s; {streams().counts()}, {ledger().counts()['']}")
        time.sleep(pause_s)


def _at(entry_id: str) -> float:
    return int(entry_id.partition("-")[0]) / 1e6


if __name__ == "__main__":
    answer_all(Changes(), {"python": sys.version.split()[0]})
