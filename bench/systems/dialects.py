"""How a client of each server gets into the room: what it waits for, and what it says then."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.systems.frames import masked

ROOM = "bench"


@dataclass(frozen=True)
class Dialect:
    """``steps``: what a message must hold, in turn, and the frame that answers it; the last one says "you are in".

    ``greeting`` is sent as soon as the connection is open. ``answers`` are to texts that may come at any time.
    """

    path: str
    steps: tuple[tuple[bytes, bytes], ...]
    greeting: bytes = b""
    answers: Mapping[bytes, bytes] = field(default_factory=dict)


DIALECTS = {
    "plain": Dialect("/", ((b'"subscribed"', b""),), masked(b'{"type":"subscribe","room":"%b"}' % ROOM.encode())),
    "socketio": Dialect(
        "/socket.io/?EIO=4&transport=websocket",
        ((b"0{", masked(b"40")), (b"40{", masked(b'420["subscribe","%b"]' % ROOM.encode())), (b"430", b"")),
        answers={b"2": masked(b"3")},
    ),
    "platform": Dialect(
        f"/ws?token={os.environ.get('BENCH_TOKEN', '')}",
        (
            (b'"connected"', masked(b'{"type":"subscribe","ref":1,"room":"%b"}' % ROOM.encode())),
            (b'"subscribed"', b""),
        ),
    ),
}
