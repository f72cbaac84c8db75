"""The audit trail: written before the act, struck out if it was refused, listed newest first."""

from __future__ import annotations

import pytest

from platform import trail
from tests.databases import database as database  # noqa: PLC0414

pytestmark = pytest.mark.usefixtures("database")


def act(
    actor: str = "ann@example.com", action: str = "dead_letter.edit", subject: str = "x", **details: object
) -> None:
    with trail.recorded(actor, action, subject, details):
        pass


def listed(**chosen: object) -> list[tuple[str, str]]:
    return [(line.action, line.subject) for line in trail.acts(**chosen).items]  # type: ignore[arg-type]


def test_an_act_says_who_did_what_when() -> None:
    act("cli:root", before={"args": ["ü", None]})
    (line,) = trail.acts().items
    assert (line.actor, line.action, line.subject) == ("cli:root", "dead_letter.edit", "x")
    assert line.details == {"before": {"args": ["ü", None]}}
    assert line.as_dict()["at"].endswith("Z")


def test_it_is_there_while_the_act_is_done() -> None:
    with trail.recorded("ann", "a.b", "x"):
        assert listed() == [("a.b", "x")]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_refused_act_leaves_no_line(error: type[BaseException]) -> None:
    act()
    with pytest.raises(error), trail.recorded("ann", "a.b", "x"):
        raise error
    assert listed() == [("dead_letter.edit", "x")]


def test_acts_are_listed_newest_first_by_action_and_subject() -> None:
    for number in range(3):
        act(subject=str(number))
    act(action="dead_letters.replay", subject="")
    act(action="dead_letter_", subject="0")
    assert listed(limit=2) == [("dead_letter_", "0"), ("dead_letters.replay", "")]
    assert listed(offset=2) == [("dead_letter.edit", n) for n in "210"]
    assert listed(action="dead_letter.edit", subject="1") == [("dead_letter.edit", "1")]
    assert listed(action="dead_letter.") == [("dead_letter.edit", n) for n in "210"]
    assert trail.acts(subject="0", limit=1).total == 2


def test_details_that_are_too_long_are_left_out_and_that_is_said() -> None:
    act(text="x" * 200_000, subject="s" * 300)
    (line,) = trail.acts().items
    assert line.details == {"left_out": "200011 characters of JSON"}
    assert line.subject == "s" * 255
