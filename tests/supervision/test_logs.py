"""The ends of logs, and what is added to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.supervision import logs


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "web.log"
    file.write_text("one\ntwo\nthree\n")
    return file


@pytest.mark.parametrize(
    ("lines", "found"), [(0, []), (1, ["three"]), (2, ["two", "three"]), (9, ["one", "two", "three"])]
)
def test_the_last_lines(log: Path, lines: int, found: list[str]) -> None:
    assert logs.tail(log, lines) == found


def test_the_end_of_a_long_log_is_found_from_behind(log: Path) -> None:
    log.write_text("".join(f"{number:06} {'x' * 100}\n" for number in range(5000)))
    assert [line[:6] for line in logs.tail(log, 1500)] == [f"{number:06}" for number in range(3500, 5000)]


def test_a_line_without_its_end_counts(log: Path) -> None:
    log.write_text("one\ntw")
    assert logs.tail(log, 1) == ["tw"]


def test_no_log_and_an_empty_one_have_no_lines(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert logs.tail(tmp_path / "none", 5) == logs.tail(tmp_path / "empty", 5) == []


def test_the_last_line_that_says_something(log: Path) -> None:
    log.write_text("Error: no luck\n\n  \n")
    assert logs.last_line(log) == "Error: no luck"
    log.write_text("")
    assert "nothing was written" in logs.last_line(log)


def test_a_follower_reads_whole_lines_from_the_end_on(log: Path) -> None:
    follower = logs.Follower(log)
    _add(log, "four\nfi")
    assert follower.read() == ["four"]
    _add(log, "ve\n")
    assert follower.read() == ["five"]
    follower.close()


def test_a_follower_goes_on_after_a_rotation(log: Path) -> None:
    follower = logs.Follower(log)
    _add(log, "last of the old\n")
    log.rename(log.with_suffix(".log.1"))
    assert follower.read() == ["last of the old"]
    log.write_text("first of the new\n")
    assert follower.read() == ["first of the new"]
    follower.close()


def test_a_follower_goes_on_after_the_log_was_emptied(log: Path) -> None:
    follower = logs.Follower(log)
    log.write_text("anew\n")
    assert follower.read() == ["anew"]
    follower.close()


def test_a_follower_waits_for_a_log_that_is_not_there_yet(tmp_path: Path) -> None:
    follower = logs.Follower(tmp_path / "later.log")
    assert follower.read() == []
    (tmp_path / "later.log").write_text("hello\n")
    assert follower.read() == ["hello"]
    follower.close()


def _add(log: Path, text: str) -> None:
    with log.open("a") as out:
        out.write(text)
