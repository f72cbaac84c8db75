from __future__ import annotations

import pytest

from web.client.sockets.mailbox import Mailbox


@pytest.fixture
def mailbox() -> Mailbox[str]:
    made: Mailbox[str] = Mailbox(4)
    for owner, item in [(1, "a"), (2, "b"), (1, "c"), (2, "d")]:
        made.put(owner, item)
    return made


def test_everything_comes_in_its_order(mailbox: Mailbox[str]) -> None:
    assert [mailbox.take() for _ in range(5)] == ["a", "b", "c", "d", None]


def test_an_owners_items_come_in_their_order(mailbox: Mailbox[str]) -> None:
    assert [mailbox.take(2) for _ in range(3)] == ["b", "d", None]
    assert [mailbox.take() for _ in range(3)] == ["a", "c", None]


def test_both_ways_of_taking_may_alternate(mailbox: Mailbox[str]) -> None:
    assert [mailbox.take(1), mailbox.take(), mailbox.take(2), mailbox.take(), len(mailbox)] == ["a", "b", "d", "c", 0]


def test_what_is_forgotten_is_gone_and_makes_room(mailbox: Mailbox[str]) -> None:
    assert mailbox.is_full
    mailbox.forget(1)
    mailbox.forget(3)
    assert (len(mailbox), mailbox.is_full) == (2, False)
    assert [mailbox.take(), mailbox.take(1)] == ["b", None]


def test_a_full_one_loses_nothing(mailbox: Mailbox[str]) -> None:
    mailbox.put(3, "e")
    assert (len(mailbox), mailbox.take(3)) == (5, "e")


def test_one_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="max_waiting 0"):
        Mailbox(0)
