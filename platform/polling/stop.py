"""Asked to stop by SIGTERM or Ctrl-C: what is under way is finished, a second Ctrl-C ends it at once."""

from __future__ import annotations

import os
import select
import signal
import socket
from types import FrameType, TracebackType
from typing import Any

FINISHING = b"the batch under way is finished; Ctrl-C again stops at once\n"


class SignalStop:
    """While it is entered, signals ask to stop; for a program's main thread.

    A handler may only set a flag: an ``Event`` may be locked by the very thread that it interrupts. So waiting is done
    on a socket that Python writes to when a signal comes.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> SignalStop:
        self._heard, self._told = socket.socketpair()
        for end in (self._heard, self._told):
            end.setblocking(False)
        self._fd_before = signal.set_wakeup_fd(self._told.fileno(), warn_on_full_buffer=False)
        for number, handler in ((signal.SIGTERM, self._ask), (signal.SIGINT, self._interrupt)):
            self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd_before)
        self._heard.close()
        self._told.close()

    def pause(self, seconds: float) -> None:
        if not self.is_asked:
            select.select([self._heard], [], [], seconds)
            self._drain()

    def _drain(self) -> None:
        """Other signals wake it as well; it then waits no longer this once."""
        try:
            self._heard.recv(4096)
        except BlockingIOError:
            return

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.is_asked = True

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self.is_asked:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a third one, should something hold up the end
            raise KeyboardInterrupt
        self.is_asked = True
        os.write(2, FINISHING)  # not by a logger, whose lock this may have interrupted
