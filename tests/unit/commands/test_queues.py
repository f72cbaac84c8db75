from __future__ import annotations

import pytest

from platform.queueing.overview import QueueNow
from platform.queueing.rates import Rates
from tasks.commands.queues import COLUMNS, _age, _row

SEEN = QueueNow(
    name="batch",
    paused=False,
    paused_at=None,
    paused_by=None,
    depth=12,
    by_priority={"9": 2, "5": 10, "0": 0},
    running=3,
    scheduled=4,
    retrying=5,
    limited=6,
    limits=None,
    oldest_age_s=None,
    rates=Rates(1.25, 0.04, 0.0),
    consumers=["a", "b"],
)


def test_a_row_has_a_cell_for_every_column() -> None:
    cells = ["batch", "active", 12, "9:2 5:10", 3, 6, 9, None, "1.2", "0.0", "0.0", 2]
    assert (_row(SEEN), len(COLUMNS)) == (cells, len(cells))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, None), (0.4, "0s"), (59.9, "59s"), (61, "1m 1s"), (3_660, "1h 1m"), (90_000, "1d 1h"), (9e6, "104d 4h")],
)
def test_an_age_is_told_in_its_two_largest_units(seconds: float | None, text: str | None) -> None:
    assert _age(seconds) == text
