"""supervisord's event protocol, spoken over two pipes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from deploy.supervision import listener
from deploy.supervision.listener import Listener

HEADER = "ver:3.0 server:platform serial:21 pool:guard poolserial:10 eventname:PROCESS_STATE_EXITED len:{}\n"
BODY = "processname:web groupname:front from_state:RUNNING expected:0 pid:2766"
EVENT = (HEADER.format(len(BODY)) + BODY).encode()


class Supervisord:
    """The other end: ``tell`` sends bytes, ``heard`` is what the listener answered."""

    def __init__(self) -> None:
        self.stdin, self._to = os.pipe()
        self._from, self.stdout = os.pipe()

    def tell(self, words: bytes) -> None:
        os.write(self._to, words)

    def heard(self) -> bytes:
        return os.read(self._from, 1000)

    def die(self) -> None:
        os.close(self._to)


@pytest.fixture
def supervisord(monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisord]:
    other = Supervisord()
    monkeypatch.setattr(listener, "STDIN", other.stdin)
    monkeypatch.setattr(listener, "STDOUT", other.stdout)
    yield other
    os.close(other.stdin)
    os.close(other.stdout)


def test_an_event_is_taken_and_the_next_one_asked_for(supervisord: Supervisord) -> None:
    reader = Listener()
    assert supervisord.heard() == b"READY\n"
    supervisord.tell(EVENT)
    (event,) = reader.read(1)
    assert (event["eventname"], event["processname"], event["pid"]) == ("PROCESS_STATE_EXITED", "web", "2766")
    assert supervisord.heard() == b"RESULT 2\nOKREADY\n"


def test_an_event_may_come_in_pieces(supervisord: Supervisord) -> None:
    reader = Listener()
    for piece in (EVENT[:20], EVENT[20:-5]):
        supervisord.tell(piece)
        assert reader.read(1) == []
    supervisord.tell(EVENT[-5:])
    assert len(reader.read(1)) == 1


def test_nothing_to_read_is_no_end(supervisord: Supervisord) -> None:
    reader = Listener()
    assert reader.read(0) == []
    assert not reader.ended


def test_the_end_of_supervisord_is_noticed(supervisord: Supervisord) -> None:
    reader = Listener()
    supervisord.die()
    assert reader.read(1) == []
    assert reader.ended
