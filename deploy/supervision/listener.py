"""supervisord's event listener protocol: events come on standard input, answers go to standard output."""

from __future__ import annotations

import os
import select

STDIN, STDOUT = 0, 1


class Listener:
    """Takes one event after the other and confirms each. ``ended`` once supervisord is gone."""

    def __init__(self) -> None:
        self.ended = False
        self._buffer = b""
        self._say(b"READY\n")

    def read(self, timeout_s: float) -> list[dict[str, str]]:
        """Header and body of each event that came within the time, as one dict; often none."""
        if select.select([STDIN], [], [], timeout_s)[0]:
            chunk = os.read(STDIN, 65_536)
            self._buffer += chunk
            self.ended = not chunk
        events = []
        while event := self._take():
            events.append(event)
            self._say(b"RESULT 2\nOKREADY\n")
        return events

    def _take(self) -> dict[str, str] | None:
        header, newline, rest = self._buffer.partition(b"\n")
        if not newline:
            return None
        fields = _fields(header)
        length = int(fields["len"])
        if len(rest) < length:
            return None
        self._buffer = rest[length:]
        return fields | _fields(rest[:length])

    def _say(self, words: bytes) -> None:
        try:
            os.write(STDOUT, words)
        except BrokenPipeError:
            self.ended = True


def _fields(line: bytes) -> dict[str, str]:
    """``name:value`` pairs, separated by spaces."""
    return dict(pair.split(":", 1) for pair in line.decode(errors="replace").split())
