"""One WebSocket in an asyncio loop, as light as a test needs them that has two thousand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
PATIENCE_S = 20.0
HANDSHAKE = (
    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class NotLetIn(Exception):
    """The handshake was answered otherwise; ``retry_after_s`` as the server said, 0 if it did not."""

    def __init__(self, status: int, retry_after_s: float):
        super().__init__(status, retry_after_s)
        self.status, self.retry_after_s = status, retry_after_s


class Ending(NamedTuple):
    """How the server ended a connection: the code of its close frame, None if there was none, and its reason."""

    code: int | None
    reason: str


class Wire(asyncio.Protocol):
    """An open connection. ``take`` gets the text of each message until it has ended, or ``close`` or ``drop``."""

    def __init__(self, take: Callable[[bytes], None]):
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[Ending] = loop.create_future()
        self._answered: asyncio.Future[bytes] = loop.create_future()
        self._take, self._is_heard = take, True
        self._rest = b""
        self._ending = Ending(None, "")
        self._transport: Any = None

    @classmethod
    async def open(cls, port: int, key: str, take: Callable[[bytes], None]) -> Wire:
        """Raises NotLetIn, OSError."""
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(lambda: cls(take), "127.0.0.1", port)
        try:
            wire._transport.write(HANDSHAKE.format(port=port, key=key).encode())
            _check(await asyncio.wait_for(wire._answered, PATIENCE_S))
        except BaseException:
            wire.drop()
            raise
        return wire

    def say(self, **message: object) -> None:
        self._transport.write(masked(json.dumps(message).encode()))

    def close(self) -> None:
        """With a close frame, waiting for no answer."""
        self._is_heard = False
        self._transport.write(masked(b"\x03\xe8", CLOSE))
        self._transport.close()

    def drop(self) -> None:
        """As if the network were gone; what had come and was not read is lost."""
        self._is_heard = False
        self._transport.abort()

    def stall(self) -> None:
        """Read nothing until ``go_on``."""
        self._transport.pause_reading()

    def go_on(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    # -- the protocol

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        if not self._answered.done():
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            self._answered.set_result(head)
        used = self._hear_all(data)
        self._rest = data[used:] if used < len(data) else b""

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._answered.done():
            self._answered.set_exception(ConnectionError("the handshake was not answered"))
            self._answered.exception()  # nobody may be waiting
        if not self.ended.done():
            self.ended.set_result(self._ending)

    def _hear_all(self, data: bytes) -> int:
        """The whole frames there are; returns how many bytes these were. A server's are neither masked nor parted."""
        at, end = 0, len(data)
        while end - at >= 2:
            start, size = at + 2, data[at + 1]
            if size >= 126:
                start += 2 if size == 126 else 8
                size = int.from_bytes(data[at + 2 : start], "big")
            if start > end or start + size > end:
                break
            self._hear(data[at] & 0xF, data[start : start + size])
            at = start + size
        return at

    def _hear(self, opcode: int, payload: bytes) -> None:
        if not self._is_heard:
            return
        if opcode == TEXT:
            self._take(payload)
        elif opcode == PING:
            self._transport.write(masked(payload, PONG))
        elif opcode == CLOSE:
            self._ending = Ending(int.from_bytes(payload[:2], "big") if payload else None, payload[2:].decode())
            self._is_heard = False
            self._transport.write(masked(payload[:2], CLOSE))
            self._transport.close()


def masked(payload: bytes, opcode: int = TEXT) -> bytes:
    """A client's frame; a mask of zeros is a mask, and leaves the bytes as they are."""
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes((0x80 | opcode,)) + length + bytes(4) + payload


def _check(head: bytes) -> None:
    status, *lines = head.decode().split("\r\n")
    code = int(status.split()[1])
    if code == 101:
        return
    headers = dict(line.lower().split(": ", 1) for line in lines)
    retry_after_s = 0.0
    with suppress(KeyError, ValueError):
        retry_after_s = float(headers["retry-after"])
    raise NotLetIn(code, retry_after_s)
