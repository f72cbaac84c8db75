from __future__ import annotations

import pytest

from platform.accounts import RecentAnswers


class Asked:
    """Answers with how often it was asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, question: str) -> int:
        self.times += 1
        return self.times


@pytest.fixture
def now() -> list[float]:
    return [100.0]


@pytest.fixture
def recent(now: list[float]) -> RecentAnswers[str, int | None]:
    return RecentAnswers(5.0, 2, clock=lambda: now[0])


def test_an_answer_is_kept_for_less_than_its_time(recent: RecentAnswers[str, int | None], now: list[float]) -> None:
    ask = Asked()
    assert recent.get("a", ask) == 1
    now[0] = 104.99
    assert recent.get("a", ask) == 1
    now[0] = 105.0
    assert recent.get("a", ask) == 2


def test_the_time_counts_from_the_question_not_the_answer(
    recent: RecentAnswers[str, int | None], now: list[float]
) -> None:
    def slow(question: str) -> int:
        now[0] += 4
        return 1

    ask = Asked()
    recent.get("a", slow)
    now[0] += 1
    recent.get("a", ask)
    assert ask.times == 1


def test_no_is_an_answer_too(recent: RecentAnswers[str, int | None]) -> None:
    questions: list[str] = []
    for _ in range(2):
        assert recent.get("a", questions.append) is None
    assert questions == ["a"]


def test_the_oldest_answer_leaves_first(recent: RecentAnswers[str, int | None]) -> None:
    ask = Asked()
    for question in "abc":
        recent.get(question, ask)
    assert len(recent) == 2
    assert recent.get("b", ask) == 2
    assert recent.get("a", ask) == 4


def test_an_error_is_not_kept(recent: RecentAnswers[str, int | None]) -> None:
    def fail(question: str) -> int:
        raise LookupError(question)

    with pytest.raises(LookupError):
        recent.get("a", fail)
    assert recent.get("a", Asked()) == 1


def test_nothing_is_left_after_clear(recent: RecentAnswers[str, int | None]) -> None:
    ask = Asked()
    recent.get("a", ask)
    recent.clear()
    assert recent.get("a", ask) == 2
