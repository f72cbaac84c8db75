"""The same conversation through the clients people use, each with what it sends by itself: extensions, headers, masks.

``ws`` of npm is looked for in the folder named by TEST_NODE_MODULES.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
import httpx2
import pytest
import websocket
import websockets
import websockets.sync.client

from tests.integration.conftest import Shop
from tests.processes import Web

TIMEOUT_S = 20
NODE_MODULES = os.environ.get("TEST_NODE_MODULES", "")
NODE_PEER = """
const ws = new (require("ws"))(process.argv[1], {headers: JSON.parse(process.argv[2])});
const say = (it) => process.stdout.write(JSON.stringify(it) + "\\n");
ws.on("open", () => say("open"));
ws.on("message", (data, isBinary) => say(isBinary ? "binary" : data.toString()));
ws.on("close", (code) => { say(code); process.exit(); });
ws.on("error", (why) => { say("error: " + why); process.exit(1); });
require("readline").createInterface({input: process.stdin})
  .on("line", (line) => line ? ws.send(JSON.parse(line)) : ws.close(1000));
"""

pytestmark = pytest.mark.usefixtures("shop_worker")


class Peer(ABC):
    """A library's connection."""

    @abstractmethod
    def __init__(self, url: str, headers: Mapping[str, str]): ...

    @abstractmethod
    def send(self, text: str) -> None: ...

    @abstractmethod
    def receive(self) -> str:
        """The next text; fails if none comes in time."""

    @abstractmethod
    def close(self) -> int | None:
        """Close with 1000; the code the server closed with."""

    @abstractmethod
    def end(self) -> None:
        """Let go of what the library holds; safe after ``close``."""

    def ask(self, **message: object) -> dict[str, Any]:
        self.send(json.dumps(message, ensure_ascii=False))
        return json.loads(self.receive())

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


class WebsocketsSync(Peer):
    def __init__(self, url: str, headers: Mapping[str, str]):
        self._held = ExitStack()
        self._ws = self._held.enter_context(websockets.sync.client.connect(url, additional_headers=headers, proxy=None))

    def send(self, text: str) -> None:
        self._ws.send(text)

    def receive(self) -> str:
        return str(self._ws.recv(TIMEOUT_S))

    def close(self) -> int | None:
        self._ws.close(1000)
        return self._ws.close_code

    def end(self) -> None:
        self._held.close()


class Asynchronous(Peer):
    """A library for asyncio, with a loop that runs while it is asked something."""

    def __init__(self, url: str, headers: Mapping[str, str]):
        self._runner = asyncio.Runner()
        self._ws = self._run(self._connected(url, headers))

    def _run(self, waited: Any) -> Any:
        async def in_time() -> Any:
            return await asyncio.wait_for(waited, TIMEOUT_S)

        return self._runner.run(in_time())

    @abstractmethod
    async def _connected(self, url: str, headers: Mapping[str, str]) -> Any: ...

    def end(self) -> None:
        self._run(self._ws.close())
        self._runner.close()


class WebsocketsAsyncio(Asynchronous):
    async def _connected(self, url: str, headers: Mapping[str, str]) -> Any:
        return await websockets.connect(url, additional_headers=headers, proxy=None)

    def send(self, text: str) -> None:
        self._run(self._ws.send(text))

    def receive(self) -> str:
        return self._run(self._ws.recv())

    def close(self) -> int | None:
        self._run(self._ws.close(1000))
        return self._ws.close_code


class Aiohttp(Asynchronous):
    async def _connected(self, url: str, headers: Mapping[str, str]) -> Any:
        self._session = aiohttp.ClientSession()
        return await self._session.ws_connect(url, headers=headers, compress=15)

    def send(self, text: str) -> None:
        self._run(self._ws.send_str(text))

    def receive(self) -> str:
        return self._run(self._ws.receive_str())

    def close(self) -> int | None:
        self._run(self._ws.close(code=1000))
        return self._ws.close_code

    def end(self) -> None:
        self._run(self._ws.close())
        self._run(self._session.close())
        self._runner.close()


class WebsocketClient(Peer):
    def __init__(self, url: str, headers: Mapping[str, str]):
        self._ws = websocket.create_connection(
            url, TIMEOUT_S, header=dict(headers), http_no_proxy=["127.0.0.1"], enable_multithread=False
        )

    def send(self, text: str) -> None:
        self._ws.send(text)

    def receive(self) -> str:
        return str(self._ws.recv())

    def close(self) -> int | None:
        self._ws.send_close(1000)
        opcode, payload = self._ws.recv_data(control_frame=True)
        assert opcode == websocket.ABNF.OPCODE_CLOSE
        return int.from_bytes(payload[:2], "big")

    def end(self) -> None:
        self._ws.shutdown()


class NodeWs(Peer):
    """A process of its own: a line of JSON for each message in and out, an empty one to close."""

    def __init__(self, url: str, headers: Mapping[str, str]):
        node = shutil.which("node")
        if node is None or not (Path(NODE_MODULES) / "ws").is_dir() or not NODE_MODULES:
            pytest.skip("needs node, and npm's ws in the folder TEST_NODE_MODULES")
        self._process = subprocess.Popen(
            [node, "-e", NODE_PEER, url, json.dumps(dict(headers))],
            env={**os.environ, "NODE_PATH": NODE_MODULES},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._said() == "open"

    def send(self, text: str) -> None:
        self._write(json.dumps(text))

    def receive(self) -> str:
        return str(self._said())

    def close(self) -> int | None:
        self._write("")
        return int(self._said())

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _said(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()


LIBRARIES = (WebsocketsSync, WebsocketsAsyncio, WebsocketClient, Aiohttp, NodeWs)


@pytest.fixture(scope="module")
def ann(shop: Shop, shop_web: Web) -> httpx2.Client:
    """One user for all of them: making one takes longer than a conversation."""
    return shop.caller(shop_web)


@pytest.fixture(scope="module")
def token(ann: httpx2.Client) -> str:
    answer = ann.post("/session/tokens")
    assert answer.status_code == 201, answer.text
    return answer.json()["token"]


def connected(library: type[Peer], how: str, web: Web, token: str) -> Peer:
    """A connection that says who it is in one of three ways; what the server says then has not been read."""
    url = f"ws://127.0.0.1:{web.port}/ws"
    peer = library(
        f"{url}?token={token}" if how == "query" else url,
        {"Authorization": f"Bearer {token}"} if how == "header" else {},
    )
    if how == "first frame":
        peer.send(json.dumps({"type": "auth", "token": token}))
    return peer


@pytest.mark.parametrize("how", ["header", "query", "first frame"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_document_made_over_http_is_told_to_who_follows_its_model(
    library: type[Peer], how: str, ann: httpx2.Client, shop_web: Web, token: str
) -> None:
    with connected(library, how, shop_web, token) as peer:
        greeting = json.loads(peer.receive())
        assert (greeting["type"], greeting["session"]["user"]) == ("connected", ann.get("/session").json()["user"])
        begun = peer.ask(type="subscribe", ref=1, channel={"model": "task"})
        assert (begun["type"], begun["ref"]) == ("subscribed", 1)
        id = ann.post("/model/task", json={"title": "až naprší 😀"}).json()["id"]
        told = json.loads(peer.receive())
        assert (told["event"], told["model"], told["id"], told["version"]) == ("model_created", "task", id, 1)
        assert (told["data"]["title"], told["channel"]) == ("až naprší 😀", begun["channel"])
        assert told["offset"] > begun["offset"]
        assert peer.close() == 1000


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_large_message_goes_both_ways(library: type[Peer], shop_web: Web, token: str) -> None:
    with connected(library, "header", shop_web, token) as peer:
        peer.receive()
        ref = "é" * 60_000
        assert peer.ask(type="ping", ref=ref) == {"type": "pong", "ref": ref}
        assert peer.close() == 1000
