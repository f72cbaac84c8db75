from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from web.demo.interrupts import SIGNALS, Interrupts


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    made = Interrupts()
    made.listen()
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_interrupts(interrupts: Interrupts, number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt):
        send(number)


def test_while_held_it_waits_for_the_end(interrupts: Interrupts) -> None:
    reached = []

    def work() -> None:
        with interrupts.held():
            send(signal.SIGTERM)
            reached.append("the end")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["the end"]


def test_an_error_while_held_is_not_lost(interrupts: Interrupts) -> None:
    with pytest.raises(OSError, match="disk full"), interrupts.held():
        raise OSError("disk full")
    with pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)


def test_once_ignored_nothing_interrupts(interrupts: Interrupts) -> None:
    interrupts.ignore()
    send(signal.SIGINT)
