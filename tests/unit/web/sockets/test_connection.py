from __future__ import annotations

import _socket
from collections.abc import Iterator
from typing import Any

import pytest

from web.sockets.connection import SEND_BUFFER_BYTES, Connection, Limits

QUEUE_BYTES = 200_000
PIECE = bytes(50_000)


class Owner:
    def __init__(self) -> None:
        self.codes: list[int | None] = []

    def received(self, text: str) -> None: ...

    def received_binary(self) -> None: ...

    def gone(self, code: int | None) -> None:
        self.codes.append(code)


@pytest.fixture
def pair() -> Iterator[tuple[Connection, Any]]:
    """A connection and its peer; the loop has no turn while a test runs."""
    ours, peer = _socket.socketpair()
    ours.setblocking(False)
    ours.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    peer.setblocking(False)
    connection = Connection(ours, Limits(1_000, QUEUE_BYTES, 10, 10))
    connection.begin(Owner())
    yield connection, peer
    connection._lose()
    peer.close()


def taken(peer: Any) -> int:
    """All that the kernel has for the peer, in bytes."""
    size = 0
    while True:
        try:
            size += len(peer.recv(1_000_000))
        except BlockingIOError:
            return size


def filled(connection: Connection) -> int:
    """As much sent as may wait, in bytes."""
    size = 0
    while connection.waiting_bytes <= QUEUE_BYTES + len(PIECE):
        connection.send(PIECE)
        size += len(PIECE)
    return size


def test_for_whom_too_much_waits_is_cut(pair: tuple[Connection, Any]) -> None:
    connection, _ = pair
    filled(connection)
    connection.send(PIECE)
    assert not connection.is_open


def test_who_takes_what_came_at_once_is_not_too_slow_though_the_loop_had_no_turn(pair: tuple[Connection, Any]) -> None:
    connection, peer = pair
    sent = filled(connection)
    heard = 0
    for _ in range(20):
        heard += taken(peer)
        connection.send(PIECE)
        sent += len(PIECE)
    assert connection.is_open
    assert heard + taken(peer) + connection.waiting_bytes == sent
