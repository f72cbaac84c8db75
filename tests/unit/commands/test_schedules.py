from __future__ import annotations

from dataclasses import replace

from platform.schedules.definition import Definition
from platform.schedules.schedule import Schedule
from tasks.commands.schedules import COLUMNS, _row

DEFINITION = Definition("nightly", "shop.add", cron="30 2 * * *", timezone="Europe/Berlin")
SEEN = Schedule("s-1", "1", DEFINITION, next_ms=0)


def test_a_row_has_a_cell_for_every_column() -> None:
    cells = [
        "s-1",
        "nightly",
        "shop.add",
        "30 2 * * *",
        "Europe/Berlin",
        "active",
        "1970-01-01T00:00:00.000Z",
        None,
        None,
    ]
    assert (_row(SEEN), len(COLUMNS)) == (cells, len(cells))


def test_an_interval_has_no_zone_and_one_of_code_may_have_no_form() -> None:
    every = replace(SEEN, definition=Definition("a", "t", every_s=2.5))
    assert _row(every)[3:5] == ["every 2.5 s", None]
    assert _row(replace(SEEN, definition=Definition("a", "t")))[3] == "as its module says"


def test_one_that_is_paused_or_makes_no_jobs_says_so() -> None:
    assert _row(replace(SEEN, is_paused=True))[5] == "paused"
    assert _row(replace(SEEN, last_error="no"))[5] == "failing"
