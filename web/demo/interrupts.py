"""Ctrl-C and its kin raise KeyboardInterrupt, but not between starting a process and remembering it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Handlers for this process alone: unlike ignored signals, they are not inherited by what it starts."""

    def __init__(self) -> None:
        self._is_held = False
        self._is_pending = False

    def listen(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self._take)

    @contextmanager
    def held(self) -> Iterator[None]:
        """What comes meanwhile is raised at the end."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self._is_pending:
            raise KeyboardInterrupt

    def ignore(self) -> None:
        """From now on nothing interrupts."""
        self._is_held = True

    def _take(self, signum: int, frame: FrameType | None) -> None:
        if not self._is_held:
            raise KeyboardInterrupt
        self._is_pending = True


interrupts = Interrupts()
