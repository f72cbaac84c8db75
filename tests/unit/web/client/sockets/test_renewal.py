from __future__ import annotations

from datetime import UTC, datetime

import pytest

from web.client.sockets.renewal import Renewal


class Clocks:
    def __init__(self) -> None:
        self.passed_s = 0.0
        self.renewal = Renewal(lambda: 1_000_000 + self.passed_s, lambda: 50 + self.passed_s)

    def expect(self, in_s: float) -> None:
        self.renewal.expect(datetime.fromtimestamp(1_000_000 + self.passed_s + in_s, UTC))


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def test_nothing_is_due_without_an_end(clocks: Clocks) -> None:
    assert clocks.renewal.left_s is None
    clocks.expect(100)
    clocks.renewal.expect(None)
    assert clocks.renewal.left_s is None


def test_a_new_token_is_due_after_four_fifths(clocks: Clocks) -> None:
    clocks.expect(100)
    assert clocks.renewal.left_s == pytest.approx(80)
    clocks.passed_s = 30
    assert clocks.renewal.left_s == pytest.approx(50)
    clocks.passed_s = 95
    assert clocks.renewal.left_s == 0


@pytest.mark.parametrize("in_s", [3, -3_600])
def test_a_clock_that_is_fast_does_not_make_it_ask_without_end(clocks: Clocks, in_s: float) -> None:
    clocks.expect(in_s)
    assert clocks.renewal.left_s == 5


def test_after_trouble_it_is_tried_again_shortly(clocks: Clocks) -> None:
    clocks.expect(100)
    clocks.passed_s = 80
    clocks.renewal.postpone()
    assert clocks.renewal.left_s == 5
