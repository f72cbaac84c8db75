"""The process that patches documents at even times, over HTTP and from Python: ``python -m bench.systems.patches``.

It is asked and answers as ``bench.systems.driver`` is. Patch ``n`` replaces the document's ``n`` with this number, and
is due ``n`` intervals after ``began``, whatever became of those before; times are nanoseconds of ``time.monotonic_ns``.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from typing import Any

import tasks  # noqa: F401 - first: it makes `platform` complete
from bench.systems.changes import MODEL, Connection, fields
from bench.systems.driver import answer_all
from platform.documents.change import Change
from platform.settings import settings
from tasks import app, pipeline

CONNECTIONS = 4
#: What is due within so long is handed over together, from Python.
TICK_S = 0.002


class Patches:
    """Its public methods are what ``do`` may name, ``jobs`` is how many patches there are in a second."""

    def __init__(self) -> None:
        app.load_everything()
        self._documents: list[str] = []
        self._seconds = 1

    def create(self, jobs: int) -> dict[str, list[str]]:
        """The ids of so many new documents, made over HTTP."""
        connection = Http()
        self._documents = [connection.made(n) for n in range(jobs)]
        return {"documents": self._documents}

    def last(self, jobs: int) -> dict[str, int]:
        """From now on patches go on for so many seconds."""
        self._seconds = jobs
        return {}

    def over_http(self, jobs: int) -> dict[str, int]:
        """On four connections that stay open."""
        began, failed = time.monotonic(), []

        def send(first: int) -> None:
            try:
                connection = Http()
                for n in range(first, jobs * self._seconds, CONNECTIONS):
                    time.sleep(max(0.0, began + n / jobs - time.monotonic()))
                    connection.patch(self._document(n), n)
            except Exception as exc:  # noqa: BLE001 - raised below, where it ends the program
                failed.append(exc)

        threads = [threading.Thread(target=send, args=(first,)) for first in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]
        return {"began": int(began * 1e9)}

    def from_python(self, jobs: int) -> dict[str, int]:
        """By ``tasks.pipeline.submit``, in one process."""
        began, sent = time.monotonic(), 0
        while sent < jobs * self._seconds:
            due = min(jobs * self._seconds, int((time.monotonic() - began) * jobs) + 1)
            if due > sent:
                pipeline.submit([self._change(n) for n in range(sent, due)])
            sent = due
            time.sleep(TICK_S)
        return {"began": int(began * 1e9)}

    def _document(self, n: int) -> str:
        return self._documents[n % len(self._documents)]

    def _change(self, n: int) -> Change:
        about: dict[str, Any] = {"change_id": str(uuid.uuid4()), "app_id": settings().app_id, "type": MODEL}
        return Change(act="patch", id=self._document(n), patch=operations(n), **about)


class Http(Connection):
    """One that stays open."""

    def made(self, n: int) -> str:
        """The id of a new document, which is stored."""
        answer = self._ask("POST", f"/model/{MODEL}", fields(n), {"Prefer": "wait=10"}, 201)
        return str(answer["id"])

    def patch(self, document: str, n: int) -> None:
        self._ask("PATCH", f"/model/{MODEL}/{document}", operations(n), {}, 202)

    def _ask(self, method: str, path: str, body: Any, headers: dict[str, str], status: int) -> Any:
        self._connection.request(method, path, json.dumps(body), self._headers | headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != status:
            raise RuntimeError(f"{method} {path} answered {answer.status}: {text.decode()}")
        return json.loads(text)


def operations(n: int) -> list[dict[str, Any]]:
    return [{"op": "replace", "path": "/n", "value": n}]


if __name__ == "__main__":
    answer_all(Patches(), {"python": sys.version.split()[0]})
