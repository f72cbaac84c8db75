"""One WebSocket: a TCP socket of our own, frames in, frames out, and nothing that runs while it is idle.

The handshake is answered by a request of gunicorn's; then the socket is taken from it (``take``) and driven by two
watchers of gevent's loop. What is to be sent is tried at once; what the peer does not take waits, bounded in bytes, and
goes out many frames in a write. A peer that is too slow is cut off and holds up nobody.
"""

from __future__ import annotations

import _socket
import os
import socket
import struct
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import gevent

from web.sockets.protocol.closing import CloseCode
from web.sockets.protocol.frames import Binary, Close, Decoder, Ping, Text, Violation, close_frame, encode

PONG = 0xA
PING_FRAME = encode(0x9, b"")
READ_BYTES = 65_536
#: Buffers handed over by one write.
MOST_BUFFERS = 64
#: What the kernel keeps of a slow reader's: enough for a burst, too little to hide slowness.
SEND_BUFFER_BYTES = 131_072
#: How long a peer may take to answer a close frame, in seconds.
CLOSING_S = 2.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
READ, WRITE = 1, 2


class Owner(Protocol):
    """Who is told what happens on a connection; in the loop, so it must not block."""

    def received(self, text: str) -> None: ...

    def received_binary(self) -> None: ...

    def gone(self, code: int | None) -> None:
        """Once; the code of the close frame sent or received, None for a connection that was lost."""


@dataclass(frozen=True)
class Limits:
    """``queue_bytes`` may wait for a peer, for ``write_s`` seconds without any being taken; silence of ``ping_s``
    seconds is asked about, twice as much ends the connection."""

    message_bytes: int
    queue_bytes: int
    write_s: float
    ping_s: float


class NotTakeable(RuntimeError):
    """This server's sockets cannot be taken over; it is not gunicorn's gevent worker, or it does TLS itself."""


def take(environ: Mapping[str, Any]) -> tuple[Any, bytes]:
    """The socket of a request, from now on ours, and what was read behind the request. Raises NotTakeable."""
    theirs = environ.get("gunicorn.socket")
    if theirs is None or not hasattr(theirs, "_sock") or hasattr(theirs, "cipher"):
        raise NotTakeable("sockets need gunicorn's gevent worker, and TLS ended before it")
    ours = _socket.socket(fileno=os.dup(theirs.fileno()))
    ours.setblocking(False)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    return ours, _read_ahead(environ)


def _read_ahead(environ: Mapping[str, Any]) -> bytes:
    """Frames that a hasty client sent behind its handshake are in gunicorn's buffer (gunicorn 27, ``Unreader``)."""
    unreader: Any = getattr(getattr(environ.get("wsgi.input"), "reader", None), "unreader", None)
    return bytes(unreader.take_buffered()) if hasattr(unreader, "take_buffered") else b""


class Connection:
    """A connection that is open until ``owner.gone`` is called."""

    __slots__ = (
        *("_decoder", "_ends_then", "_heard_at", "_is_asked", "_limits", "_out", "_out_bytes", "_owner", "_reader"),
        *("_sent_code", "_sock", "_until", "_waiting_since", "_writer", "by_peer", "is_open"),
    )

    def __init__(self, sock: Any, limits: Limits):
        loop = gevent.get_hub().loop
        self._sock, self._limits = sock, limits
        self._decoder = Decoder(limits.message_bytes)
        self._reader = loop.io(sock.fileno(), READ)
        self._writer: Any = None
        self._out: deque[Any] | None = None
        self._out_bytes = 0
        self._owner: Owner | None = None
        self._heard_at = self._waiting_since = time.monotonic()
        self._is_asked = False
        self._until = 0.0
        self._ends_then = False
        self._sent_code: int | None = None
        #: Whether frames are still sent and heard.
        self.is_open = True
        #: Whether it was the peer that ended it.
        self.by_peer = False

    def begin(self, owner: Owner) -> None:
        """Tell the owner from now on."""
        self._owner = owner
        self._reader.start(self._read)

    def feed(self, data: bytes) -> None:
        """Bytes of the peer's that somebody else has read."""
        self._take_in(data)

    @property
    def waiting_bytes(self) -> int:
        """What the peer has not taken yet."""
        return self._out_bytes

    def send(self, frame: bytes) -> None:
        """Send a frame, now or when the peer takes it; to one that is closing, nothing."""
        if not self.is_open:
            return
        if self._out is not None:
            self._queue(frame)
            return
        try:
            sent = self._sock.send(frame)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lose()
            return
        if sent < len(frame):
            self._queue(memoryview(frame)[sent:])

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame behind what waits, and end once the peer has answered, or after a moment."""
        if not self.is_open:
            return
        self._sent_code = code
        self.send(close_frame(code, reason))
        self._finish_within(CLOSING_S)

    def cut(self, code: int, reason: str = "") -> None:
        """The same, forgetting what waits; of a frame that is half sent the rest still goes out."""
        if not self.is_open:
            return
        if self._out:
            begun = self._out[0] if isinstance(self._out[0], memoryview) else None
            self._out = deque([begun] if begun is not None else [])
            self._out_bytes = len(begun) if begun is not None else 0
            self._sent_code = code
            frame = close_frame(code, reason)
            self._out.append(frame)
            self._out_bytes += len(frame)
            self._finish_within(CLOSING_S)
        else:
            self.close(code, reason)

    def pause(self) -> None:
        """Read nothing until ``resume``: the peer's own system makes it wait."""
        self._reader.stop()

    def resume(self) -> None:
        if self._sock is not None and not self._reader.active:
            self._reader.start(self._read)

    def check(self, now: float) -> None:
        """End what is overdue; to be called about once a second. ``now`` is ``time.monotonic()``."""
        if self._sock is None:
            return
        if not self.is_open:
            if now > self._until:
                self._lose()
        elif self._out is not None and now - self._waiting_since > self._limits.write_s:
            self.cut(CloseCode.TOO_SLOW, "nothing was taken for too long")
        elif now - self._heard_at > 2 * self._limits.ping_s:
            self._lose(is_dead=True)
        elif not self._is_asked and now - self._heard_at > self._limits.ping_s:
            self._is_asked = True
            self.send(PING_FRAME)

    # -- in

    def _read(self) -> None:
        try:
            data = self._sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._take_in(data)
        else:
            self._lose()

    def _take_in(self, data: bytes) -> None:
        self._heard_at, self._is_asked = time.monotonic(), False
        for event in self._decoder.feed(data):
            if type(event) is Close:
                self._answer_close(event)
            elif not self.is_open:
                continue
            elif type(event) is Text:
                self._owner.received(event.data)  # type: ignore[union-attr]
            elif type(event) is Ping:
                self.send(encode(PONG, event.data))
            elif type(event) is Violation:
                self._refuse(event)
            elif type(event) is Binary:
                self._owner.received_binary()  # type: ignore[union-attr]

    def _answer_close(self, event: Close) -> None:
        if self.is_open:
            self.by_peer, self._sent_code = True, event.code
            self.send(close_frame(event.code) if event.code is not None else encode(0x8, b""))
            self._finish_within(CLOSING_S)
        self._end_writing()

    def _refuse(self, violation: Violation) -> None:
        """What follows cannot be understood: nothing is waited for but the end."""
        self.cut(violation.code, violation.reason)
        self._end_writing()

    # -- out

    def _queue(self, rest: Any) -> None:
        if self._out is None:
            self._out, self._waiting_since = deque(), time.monotonic()
            if self._writer is None:
                self._writer = gevent.get_hub().loop.io(self._sock.fileno(), WRITE)
            self._writer.start(self._write)
        elif self._is_full and self._sent_code is None:
            self._write()  # much came at once: the peer may have taken some of it, and nobody has looked
            if self._is_full:
                self.cut(CloseCode.TOO_SLOW, "too much waited to be taken")
            else:
                self.send(rest)
            return
        self._out.append(rest)
        self._out_bytes += len(rest)

    @property
    def _is_full(self) -> bool:
        """Not counting the frame that is being taken: one that is larger by itself makes nobody slow."""
        return self._out is not None and self._out_bytes - len(self._out[0]) > self._limits.queue_bytes

    def _write(self) -> None:
        out = self._out
        if out is None:
            self._writer.stop()
            return
        try:
            sent = self._sock.sendmsg(list(islice(out, MOST_BUFFERS))) if out else 0
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._lose()
            return
        self._waiting_since = time.monotonic()
        self._out_bytes -= sent
        _drop(out, sent)
        if not out:
            self._out = None
            self._writer.stop()
            if self._ends_then:
                self._end_writing()

    def _finish_within(self, seconds: float) -> None:
        self.is_open = False
        self._until = time.monotonic() + seconds

    def _end_writing(self) -> None:
        """Say that nothing follows, once all is sent; the peer ends the connection then, and `check` if it does not."""
        if self._sock is None:
            return
        if self._out is not None:
            self._ends_then = True
            return
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def _lose(self, is_dead: bool = False) -> None:
        """The end of the connection, however it came about; ``is_dead``: nobody is going to take what was sent."""
        if self._sock is None:
            return
        self.is_open, self.by_peer = False, self.by_peer or self.is_open
        self._reader.stop()
        self._reader.close()
        if self._writer is not None:
            self._writer.stop()
            self._writer.close()
        if self._out is not None or is_dead:  # nothing stays behind in the kernel
            with suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._sock.close()
        self._sock = self._out = None
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.gone(self._sent_code)


def _drop(out: deque[Any], sent: int) -> None:
    """Take what was sent off the front; a buffer that went out in part stays with its rest."""
    while sent:
        first = out[0]
        if sent < len(first):
            out[0] = memoryview(first)[sent:]
            return
        sent -= len(first)
        out.popleft()
