"""A WebSocket client over a plain TCP socket that sends whatever bytes a test wants."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Any

KEY, PROOF = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
TIMEOUT_S = 10.0
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    mask: bytes | None = b"\x01\x80\xff\x37",
    length: bytes | None = None,
) -> bytes:
    """One frame of a client's; unmasked if ``mask`` is None.

    ``length``, as it is in the header but for the bit that tells of the mask, may lie about the payload.
    """
    length = _shortest(len(payload)) if length is None else length
    head = bytes((fin << 7 | reserved << 4 | opcode, (mask is not None) << 7 | length[0])) + length[1:]
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def _shortest(length: int) -> bytes:
    if length < 126:
        return bytes((length,))
    return bytes((126, *length.to_bytes(2, "big"))) if length < 1 << 16 else bytes((127, *length.to_bytes(8, "big")))


def text(message: object, **options: Any) -> bytes:
    """A message in one frame."""
    return frame(TEXT, json.dumps(message, ensure_ascii=False).encode(), **options)


@dataclass(frozen=True)
class Frame:
    """One the server sent, checked to be one that a server may send."""

    opcode: int
    payload: bytes

    @property
    def message(self) -> Any:
        assert self.opcode == TEXT, self
        return json.loads(self.payload)

    @property
    def code(self) -> int | None:
        assert self.opcode == CLOSE, self
        self.payload[2:].decode()
        return int.from_bytes(self.payload[:2], "big") if self.payload else None


@dataclass(frozen=True)
class Answer:
    """Of the server to a handshake; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class RawClient:
    """One TCP connection, with a deadline of 10 s for everything it waits for.

    With ``window_bytes`` the kernel keeps only so much for it before the server has to wait.
    """

    def __init__(self, port: int, window_bytes: int | None = None):
        self._sock = socket.socket()
        self._sock.settimeout(TIMEOUT_S)
        if window_bytes is not None:  # before the connection is made, or it changes nothing
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window_bytes)
        try:
            self._sock.connect(("127.0.0.1", port))
        except OSError:
            self._sock.close()
            raise
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._sock.makefile("rb")

    @property
    def port(self) -> int:
        """This end's."""
        return int(self._sock.getsockname()[1])

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def ask(self, message: object) -> Any:
        """The message that is the answer to this one."""
        self.send(text(message))
        return self.read().message

    def read(self) -> Frame:
        """The next frame; a ConnectionError at the end of the stream."""
        first, second = self._exactly(2)
        assert first & 0x80, "a fragment"
        assert not first & 0x70, "a reserved bit"
        assert not second & 0x80, "a mask"
        wide = {126: 2, 127: 8}.get(second)
        length = second if wide is None else int.from_bytes(self._exactly(wide), "big")
        return Frame(first & 0x0F, self._exactly(length))

    def lines(self, until: bytes) -> list[bytes]:
        """Whole lines, up to and with the first that begins so."""
        found = [self._stream.readline()]
        while not found[-1].startswith(until):
            found.append(self._stream.readline())
            if not found[-1]:
                raise ConnectionError(f"the stream ended after {found}")
        return found

    def read_close(self) -> int | None:
        """The code of the close frame that comes next and is the last of all."""
        code = self.read().code
        assert self.is_at_end, "something followed the close frame"
        return code

    @property
    def is_at_end(self) -> bool:
        """Whether the server ends the connection; waits until it says something, if it does not."""
        return self._stream.read(1) == b""

    def shake_hands(
        self, path: str = "/ws", *, first: str | None = None, behind: bytes = b"", **headers: Any
    ) -> Answer:
        """Ask for a WebSocket, with some headers replaced or, by None, left out: ``shake_hands(upgrade="h2c")``.

        ``first`` is the whole first line, ``behind`` is sent in the same segment.
        """
        good = {
            "host": "127.0.0.1",
            "upgrade": "websocket",
            "connection": "Upgrade",
            "sec_websocket_key": KEY,
            "sec_websocket_version": "13",
        }
        sent = {name: value for name, value in (good | headers).items() if value is not None}
        lines = [first or f"GET {path} HTTP/1.1", *(f"{n.replace('_', '-')}: {value}" for n, value in sent.items())]
        self.send("\r\n".join([*lines, "", ""]).encode() + behind)
        return self._answer()

    def _answer(self) -> Answer:
        status = int(self._stream.readline().split()[1])
        lines = iter(self._stream.readline, b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.decode().partition(":") for line in lines)}
        body = b"" if status == 101 else self._exactly(int(headers.get("content-length", "0")))
        return Answer(status, headers, body)

    def _exactly(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) < count:
            raise ConnectionError(f"the stream ended after {data!r}")
        return data

    def close(self) -> None:
        self._stream.close()
        self._sock.close()

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
