"""Data frames on their way to many: a text is made once for each channel's name, bytes once for all sockets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from platform.streams.event import as_json, placed
from web.sockets.protocol.frames import text_frame

#: Characters that go out together at most, unless one frame alone has more.
BURST_CHARS = 65_536


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


class Burst:
    """Frames of one channel that go out together, one behind the other: a socket takes them by one write."""

    __slots__ = ("_bytes", "frames")

    def __init__(self, frames: Sequence[Outgoing]):
        self.frames = frames
        self._bytes: bytes | None = None

    @property
    def bytes(self) -> bytes:
        """As WebSocket frames."""
        if self._bytes is None:
            self._bytes = b"".join([frame.frame for frame in self.frames])
        return self._bytes


def bursts(frames: Iterable[Outgoing], most_chars: int = BURST_CHARS) -> Iterator[Burst]:
    """All frames, in as few bursts as may be."""
    several, chars = list[Outgoing](), 0
    for frame in frames:
        chars += len(frame.text)
        if several and chars > most_chars:
            yield Burst(several)
            several, chars = [], len(frame.text)
        several.append(frame)
    if several:
        yield Burst(several)


def outgoing(frame: str, channel: str, offset: int) -> Outgoing:
    """A frame as followers of that channel get it."""
    text = placed(frame, channel, offset) if offset else f'{frame[:-1]},"channel":{as_json(channel)}}}'
    return Outgoing(channel, offset, text)
