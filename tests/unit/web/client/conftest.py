"""A real HTTP server with scripted answers, and both clients behind one blocking interface.

Every test that takes ``ask`` runs twice: with the blocking client, and with the asynchronous one.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import attrgetter
from typing import Any

import pytest

from web.client import AsyncClient, Client

JOB = {
    "job_id": "j-1",
    "task": "shop.add",
    "queue": "offload",
    "priority": 5,
    "state": "pending",
    "attempts": 0,
    "max_retries": 3,
    "progress": None,
    "result": None,
    "error": None,
    "owner": "u-1",
    "app_id": "default",
    "parent_id": None,
    "dead_letter_id": None,
    "created_at": "2026-11-22T10:00:00.123Z",
    "started_at": None,
    "finished_at": None,
}


def job(**members: object) -> dict[str, object]:
    """A job as the server sends it."""
    return JOB | members


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def problem(status: int, detail: str, *, headers: dict[str, str] | None = None, **members: object) -> Answer:
    return Answer(status, {"title": "…", "status": status, "detail": detail, "errors": [], **members}, headers or {})


@dataclass(frozen=True)
class Received:
    method: str
    target: str
    headers: dict[str, str]
    body: Any


class Server:
    """Gives the scripted answers one after the other, the last one for ever; ``received`` is what was asked."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self._script: list[Answer] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def answers(self, *script: Answer) -> None:
        self._script = list(script)

    def next_answer(self) -> Answer:
        return self._script.pop(0) if len(self._script) > 1 else self._script[0]

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = json.loads(raw) if raw else None
                server.received.append(Received(self.command, self.path, dict(self.headers), body))
                answer = server.next_answer()
                self.send_response(answer.status)
                for name, value in ({"Content-Type": "application/json"} | answer.headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


class Ask:
    """``ask("jobs.get", "j-1")`` is ``client.jobs.get("j-1")`` of either client; iterators come as lists."""

    def __init__(self, make: Callable[..., Any]):
        self._runner = asyncio.Runner() if make is AsyncClient else None
        self._make = make
        self._clients: list[Any] = []
        self.client: Any = None

    def of(self, *args: object, **kwargs: object) -> Ask:
        """Ask this client from now on."""
        self.client = self._make(*args, **kwargs)
        self._clients.append(self.client)
        return self

    def __call__(self, name: str, *args: object, **kwargs: object) -> Any:
        outcome = attrgetter(name)(self.client)(*args, **kwargs)
        if self._runner is None:
            return list(outcome) if isinstance(outcome, Iterator) else outcome
        return self._runner.run(_gathered(outcome) if hasattr(outcome, "__aiter__") else outcome)

    def close(self) -> None:
        for client in self._clients:
            self.client = client
            self("aclose" if self._runner else "close")
        if self._runner:
            self._runner.close()


async def _gathered(items: Any) -> list[Any]:
    return [item async for item in items]


@pytest.fixture(params=[Client, AsyncClient], ids=["blocking", "async"])
def ask(request: pytest.FixtureRequest, server: Server) -> Iterator[Ask]:
    """Either client, bound to the scripted server, with the API key ``pk_test`` and 5 s of patience."""
    made = Ask(request.param).of(server.url, "pk_test", timeout_s=5)
    yield made
    made.close()
