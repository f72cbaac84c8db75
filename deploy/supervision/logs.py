"""The programs' logs: their ends, and what is added to them, across rotation."""

from __future__ import annotations

import os
from collections import deque
from io import BufferedReader
from pathlib import Path

BLOCK_BYTES = 65_536


def tail(file: Path, lines: int) -> list[str]:
    """The last lines, without line ends; none if there is no such file. Reads no more than it must."""
    try:
        with file.open("rb") as log:
            return _decode(_last(log, lines))
    except FileNotFoundError:
        return []


def last_line(file: Path) -> str:
    """The last line that says something."""
    said = [line for line in tail(file, 20) if line.strip()]
    return said[-1].strip() if said else f"nothing was written to {file}"


class Follower:
    """Reads what is added to a log, across rotation, truncation and the file's not being there yet."""

    def __init__(self, file: Path):
        self.file = file
        self._log: BufferedReader | None = None
        self._rest = b""
        self._open(at_end=True)

    def read(self) -> list[str]:
        """The complete lines that were added since the last call."""
        added = self._log.read() if self._log else b""
        if self._was_replaced():
            self._open(at_end=False)
            added += self._log.read() if self._log else b""
        *lines, self._rest = (self._rest + added).split(b"\n")
        return _decode(lines)

    def close(self) -> None:
        if self._log:
            self._log.close()

    def _open(self, at_end: bool) -> None:
        self.close()
        try:
            self._log = self.file.open("rb")
        except FileNotFoundError:
            self._log = None
        if self._log and at_end:
            self._log.seek(0, os.SEEK_END)

    def _was_replaced(self) -> bool:
        try:
            now = self.file.stat()
        except FileNotFoundError:
            return False  # between the two steps of a rotation
        if self._log is None:
            return True
        return os.fstat(self._log.fileno()).st_ino != now.st_ino or now.st_size < self._log.tell()


def _last(log: BufferedReader, lines: int) -> list[bytes]:
    blocks: deque[bytes] = deque()
    position = log.seek(0, os.SEEK_END)
    while position > 0 and sum(block.count(b"\n") for block in blocks) <= lines:
        step = min(BLOCK_BYTES, position)
        position = log.seek(position - step)
        blocks.appendleft(log.read(step))
    found = b"".join(blocks).removesuffix(b"\n").split(b"\n")
    return found[-lines:] if blocks and lines else []


def _decode(lines: list[bytes]) -> list[str]:
    return [line.decode(errors="replace").rstrip("\r") for line in lines]
