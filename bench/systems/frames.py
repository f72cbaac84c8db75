"""WebSocket frames as a load client needs them: written whole, and counted uncopied (RFC 6455, section 5)."""

from __future__ import annotations

from collections.abc import Sequence

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
#: A mask of zeros is a mask, and leaves the bytes as they are.
MASK = bytes(4)
#: Frames looked at together; where sizes alternate all but one of them in vain.
MOST_ALIKE = 256


def masked(payload: bytes, opcode: int = TEXT) -> bytes:
    """A client's frame. Raises ValueError above 65 535 bytes."""
    size = len(payload)
    if size > 0xFFFF:
        raise ValueError(f"{size} bytes are more than a client here ever says")
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    return bytes([0x80 | opcode]) + length + MASK + payload


def handshake(path: str, port: int) -> bytes:
    """What a client says first."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def split(data: memoryview, least: int) -> tuple[int, Sequence[tuple[int, bytes]], int]:
    """Take a server's whole frames apart: how many texts of ``least`` bytes and more, opcode and payload of every other
    frame, and how many bytes all of them take.

    Texts of one size, one behind the other, are counted together: it runs for each read of a benchmark.
    """
    position = long = 0
    end = len(data)
    others: list[tuple[int, bytes]] = []
    while end - position >= 2:
        size = data[position + 1]
        start = position + (2 if size < 126 else 4 if size == 126 else 10)
        if start > end:
            break
        if size >= 126:
            size = int.from_bytes(data[position + 2 : start])
        if start + size > end:
            break
        if size >= least and data[position] & 0xF == TEXT:
            alike = _alike(data[position:], start - position, start + size - position)
            long += alike
            position += alike * (start + size - position)
            continue
        others.append((data[position] & 0xF, bytes(data[start : start + size])))
        position = start + size
    return long, others, position


def _alike(data: memoryview, head: int, whole: int) -> int:
    """How many whole frames begin as the first one does, which says as well where each of them ends."""
    count = min(len(data) // whole, MOST_ALIKE)
    for offset in range(head if count > 1 else 0):
        column = bytes(data[offset : count * whole : whole])
        count -= len(column.lstrip(column[:1]))
    return count
