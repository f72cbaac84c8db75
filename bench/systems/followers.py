"""Sockets that follow a document each: ``python -m bench.systems.followers PORT DOCUMENT …``.

It is asked and answers as ``bench.systems.driver`` is, and reads its sockets all the while.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from typing import Any

from bench.systems.dialects import DIALECTS
from bench.systems.frames import PING, PONG, handshake, masked, split
from bench.systems.listening import asked

PATIENCE_S = 100
READ_BYTES = 65_536
NO_TEXT_TOO_LONG = sys.maxsize


class Followers:
    """Its public methods are what ``do`` may name."""

    def __init__(self, port: int, documents: list[str]):
        self._selector = selectors.DefaultSelector()
        self._arrivals: list[tuple[int, int]] = []
        self._rest: dict[socket.socket, bytes] = {}
        self._following = 0
        for document in documents:
            self._follow(port, document)
        self._await(lambda: self._following == len(documents))

    def expect(self, jobs: int) -> dict[str, int]:
        """Patches are going to come, counted from 0 again."""
        self._arrivals.clear()
        return {}

    def arrivals(self, jobs: int) -> dict[str, list[tuple[int, int]]]:
        """The number of each of so many patches and when it came, in nanoseconds, once all have."""
        self._await(lambda: len(self._arrivals) >= jobs)
        if sorted(n for n, _ in self._arrivals) != list(range(jobs)):
            raise RuntimeError(f"not each of {jobs} patches came once")
        return {"at": self._arrivals}

    def pump_until(self, file: Any) -> None:
        """Serve the sockets until the file can be read."""
        self._selector.register(file, selectors.EVENT_READ)
        while not self._pump(None):
            continue
        self._selector.unregister(file)

    def _await(self, is_so: Any) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not is_so():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self._following} follow, {len(self._arrivals)} patches came")
            self._pump(1)

    def _pump(self, timeout: float | None) -> bool:
        """One turn; whether anything but a socket was ready."""
        others = False
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                others = True
            else:
                self._read(key.data)
        return others

    def _follow(self, port: int, document: str) -> None:
        sock = socket.create_connection(("127.0.0.1", port))
        sock.sendall(handshake(DIALECTS["platform"].path, port))
        data = b""
        while b"\r\n\r\n" not in data:
            data += sock.recv(READ_BYTES)
        head, _, self._rest[sock] = data.partition(b"\r\n\r\n")
        if b" 101 " not in head:
            raise RuntimeError(f"the handshake was answered {head!r}")
        wish = {"type": "subscribe", "ref": 1, "channel": {"model": "task", "id": document}}
        sock.sendall(masked(json.dumps(wish).encode()))
        self._selector.register(sock, selectors.EVENT_READ, sock)

    def _read(self, sock: socket.socket) -> None:
        data = sock.recv(READ_BYTES)
        if not data:
            raise RuntimeError("a socket was closed")
        at, data = time.monotonic_ns(), self._rest[sock] + data
        _, frames, used = split(memoryview(data), NO_TEXT_TOO_LONG)
        self._rest[sock] = data[used:]
        for opcode, payload in frames:
            if opcode == PING:
                sock.sendall(masked(payload, PONG))
            else:
                self._hear(json.loads(payload), at)

    def _hear(self, frame: dict[str, Any], at: int) -> None:
        if frame.get("event") == "model_updated":
            (operation,) = (one for one in frame["data"] if one["path"] == ["n"])
            self._arrivals.append((operation["value"][0], at))
        self._following += frame.get("type") == "subscribed"


def main() -> None:
    port, *documents = sys.argv[1:]
    followers = Followers(int(port), documents)
    print("{}", flush=True)
    for question in asked(followers.pump_until):
        print(json.dumps(getattr(followers, question["do"])(question["jobs"])), flush=True)


if __name__ == "__main__":
    main()
