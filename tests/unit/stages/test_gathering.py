"""Which message goes into which bundle."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import state

from platform.leases.channel import MAX_SLOT_BYTES
from platform.stages.bundle import Bundle
from platform.stages.gathering import Gatherer

TASK = SimpleNamespace(name="shop.sift", time_limit=60, soft_time_limit=None)


class Message(SimpleNamespace):
    def __init__(self, size: int = 1, timelimit: Any = (60, None), redelivered: bool = False, bytes: int = 10):
        super().__init__(
            size=size, headers={"timelimit": timelimit}, body=b"x" * bytes, delivery_info={"redelivered": redelivered}
        )


class Waiting:
    """A gatherer, and the bundles that wait for a slot."""

    def __init__(self, batch: int):
        self.bundles: list[Bundle] = []
        self.gatherer = Gatherer(TASK, batch, self.bundles.append)

    def give(self, *messages: Message) -> list[int]:
        """The place of the bundle each goes to."""
        found = []
        for message in messages:
            bundle = self.gatherer.bundle_for(message, message.size)
            bundle.add(SimpleNamespace(message=message), message.size)  # type: ignore[arg-type]
            found.append(self.bundles.index(bundle))
        return found


@pytest.fixture
def waiting() -> Waiting:
    return Waiting(batch=3)


def test_what_comes_while_none_is_free_goes_together(waiting: Waiting) -> None:
    assert waiting.give(Message(), Message(), Message()) == [0, 0, 0]


def test_a_bundle_takes_a_batch_of_changes_and_no_more(waiting: Waiting) -> None:
    assert waiting.give(*[Message()] * 7) == [0, 0, 0, 1, 1, 1, 2]


def test_changes_are_counted_and_not_messages(waiting: Waiting) -> None:
    assert waiting.give(Message(2), Message(2), Message(1), Message(50), Message()) == [0, 1, 1, 2, 3]


def test_a_bundle_that_has_its_slot_takes_no_more(waiting: Waiting) -> None:
    waiting.give(Message())
    waiting.gatherer._closed(waiting.bundles[0])
    assert waiting.give(Message()) == [1]


@pytest.mark.parametrize("alone", [Message(redelivered=True), Message(timelimit=(5, None)), Message(timelimit=[60, 3])])
def test_some_are_worked_on_alone(waiting: Waiting, alone: Message) -> None:
    assert waiting.give(Message(), alone, Message()) == [0, 1, 0]


@pytest.mark.parametrize("timelimit", [None, (None, None), [60, None]])
def test_the_tasks_own_limits_are_no_reason(waiting: Waiting, timelimit: Any) -> None:
    assert waiting.give(Message(timelimit=timelimit), Message(timelimit=timelimit)) == [0, 0]


def test_large_messages_do_not_pile_up(waiting: Waiting) -> None:
    assert waiting.give(Message(bytes=MAX_SLOT_BYTES + 1), Message(), Message()) == [0, 1, 1]


def test_a_bundle_takes_one_slot_until_it_has_ended(waiting: Waiting) -> None:
    waiting.give(Message(), Message(), Message(redelivered=True))
    assert [bundle in state.reserved_requests for bundle in waiting.bundles] == [True, True]
    for bundle in waiting.bundles:
        bundle._end()
    assert [bundle in state.reserved_requests for bundle in waiting.bundles] == [False, False]
