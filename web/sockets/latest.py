"""Where streams stand now: of those who ask together, all are answered by one reading."""

from __future__ import annotations

from collections.abc import Callable

import gevent
from gevent.event import AsyncResult

from platform.streams.delivery import Position


class Latest:
    """``read`` asks the store. An answer is never older than the question: who asks while it is read gets the next."""

    def __init__(self, read: Callable[[str], Position]):
        self._read = read
        self._asked: dict[str, AsyncResult] = {}  # by stream: the next reading
        self._busy: set[str] = set()

    def position(self, stream: str) -> Position:
        """Where the stream stands. Raises what ``read`` does."""
        answer = self._asked.get(stream)
        if answer is None:
            answer = self._asked[stream] = AsyncResult()
            if stream not in self._busy:
                self._busy.add(stream)
                gevent.spawn(self._answer_all, stream)
        position: Position = answer.get()
        return position

    def _answer_all(self, stream: str) -> None:
        try:
            while (answer := self._asked.pop(stream, None)) is not None:
                try:
                    answer.set(self._read(stream))
                except BaseException as exc:  # noqa: BLE001 - it is theirs, and each of them is told
                    answer.set_exception(exc)
        finally:
            self._busy.discard(stream)
