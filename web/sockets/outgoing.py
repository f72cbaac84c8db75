"""A data frame on its way to many: its text is made once for each channel's name, its bytes once for all sockets."""

from __future__ import annotations

from platform.streams.event import as_json, placed
from web.sockets.protocol.frames import text_frame


class Outgoing:
    """A frame, and its place in its channel; ``offset`` 0: it has none, and nobody can ask for it again."""

    __slots__ = ("_bytes", "channel", "offset", "text")

    def __init__(self, channel: str, offset: int, text: str):
        self.channel, self.offset, self.text = channel, offset, text
        self._bytes: bytes | None = None

    @property
    def frame(self) -> bytes:
        """As a WebSocket sends it."""
        if self._bytes is None:
            self._bytes = text_frame(self.text.encode())
        return self._bytes


def outgoing(frame: str, channel: str, offset: int) -> Outgoing:
    """A frame as followers of that channel get it."""
    text = placed(frame, channel, offset) if offset else f'{frame[:-1]},"channel":{as_json(channel)}}}'
    return Outgoing(channel, offset, text)
