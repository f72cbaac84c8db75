from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import gevent
import pytest
from gevent.queue import Queue

from platform.errors import BrokerUnavailable
from platform.routing.subscriptions import Group
from web.sockets import membership
from web.sockets.membership import Membership

LOBBY, HALL = Group("app:shop:room:lobby"), Group("app:shop:room:hall")
TIMEOUT_S = 5.0


class Registry:
    """Says what it is told; ``trouble`` is for the leaves to come, each of which is told all the same."""

    def __init__(self) -> None:
        self.told: Queue[tuple[str, list[str]]] = Queue()
        self.trouble: list[BrokerUnavailable] = []

    def join(self, process: str, groups: Iterable[Group]) -> bool:
        self.told.put(("join", [group.key for group in groups]))
        return True

    def leave(self, process: str, groups: Iterable[Group]) -> None:
        self.told.put(("leave", [group.key for group in groups]))
        if self.trouble:
            raise self.trouble.pop()

    def open(self, process: str) -> bool:
        return True

    def next(self) -> tuple[str, list[str]]:
        return self.told.get(timeout=TIMEOUT_S)


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def member(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Iterator[Membership]:
    monkeypatch.setattr(membership, "LINGER_S", 0.02)
    monkeypatch.setattr(membership, "RETRY_S", 0.02)
    made: Any = Membership(registry)  # type: ignore[arg-type]
    running = gevent.spawn(made.run)
    yield made
    running.kill()


def test_a_group_is_joined_when_it_is_wanted_and_left_once_when_it_is_not(
    member: Membership, registry: Registry
) -> None:
    member.want(LOBBY)
    assert registry.next() == ("join", [LOBBY.key])
    member.wait(LOBBY)
    member.release(LOBBY)
    assert registry.next() == ("leave", [LOBBY.key])
    member.want(HALL)
    assert registry.next() == ("join", [HALL.key])


def test_what_the_registry_could_not_be_told_to_leave_it_is_told_again(member: Membership, registry: Registry) -> None:
    registry.trouble = [BrokerUnavailable("away")] * 2
    member.want(LOBBY)
    registry.next()
    member.release(LOBBY)
    assert [registry.next() for _ in range(3)] == [("leave", [LOBBY.key])] * 3
    member.want(HALL)
    assert registry.next() == ("join", [HALL.key])


def test_what_is_wanted_again_before_it_was_left_is_joined_and_stays(member: Membership, registry: Registry) -> None:
    registry.trouble = [BrokerUnavailable("away")]
    for group in (LOBBY, HALL):
        member.want(group)
        registry.next()
    for group in (LOBBY, HALL):
        member.release(group)
    assert registry.next() == ("leave", [LOBBY.key, HALL.key])
    member.want(LOBBY)
    assert [registry.next() for _ in range(2)] == [("join", [LOBBY.key]), ("leave", [HALL.key])]


def test_under_another_name_nothing_is_left_that_only_the_old_one_had_joined(
    member: Membership, registry: Registry
) -> None:
    registry.trouble = [BrokerUnavailable("away")]
    member.want(LOBBY)
    registry.next()
    member.release(LOBBY)
    assert registry.next() == ("leave", [LOBBY.key])
    member.renew()
    member.want(HALL)
    assert registry.next() == ("join", [HALL.key])
    member.release(HALL)
    assert registry.next() == ("leave", [HALL.key])
