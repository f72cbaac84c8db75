"""Who is told what: joining, leaving, dying and coming back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from platform.documents.filters import parsed
from platform.routing.subscriptions import Group, Subscriptions
from platform.settings import Settings
from tests.waiting import eventually

TASKS = "app:shop:model:task"
OPEN = parsed({"status": "open"})
DONE = parsed({"status": "done"})
Joins = Callable[..., Group]


def told(registry: Subscriptions, channel: str = TASKS) -> dict[str, list[str]]:
    """The keys of a channel's groups, with the processes of each."""
    return {group.key: sorted(group.processes) for group in registry.lookup([channel]).groups.get(channel, [])}


def test_equal_subscriptions_are_one_group(registry: Subscriptions, joins: Joins) -> None:
    whole, part = joins("p1", TASKS), joins("p1", TASKS, {"status": "open"})
    joins("p2", TASKS, {"status": {"$eq": "open"}})
    assert told(registry) == {whole.key: ["p1"], part.key: ["p1", "p2"]}
    assert registry.filter_texts([OPEN.key]) == {OPEN.key: OPEN.text}


def test_channels_that_nobody_follows_are_not_found(registry: Subscriptions, joins: Joins) -> None:
    joins("p1", TASKS)
    assert registry.lookup(["app:shop:model:item", TASKS, f"{TASKS}:d1"]).groups.keys() == {TASKS}


def test_joining_again_changes_nothing(registry: Subscriptions, client: redis.Redis, joins: Joins) -> None:
    joins("p1", TASKS, {"status": "open"})
    before = registry.lookup([TASKS])
    assert registry.join("p1", [Group(TASKS, OPEN)])
    assert registry.lookup([TASKS]).groups == before.groups
    registry.leave("p1", [Group(TASKS, OPEN)])
    assert told(registry) == {}


def test_nothing_is_kept_of_groups_that_all_left(registry: Subscriptions, client: redis.Redis, joins: Joins) -> None:
    groups = [
        joins(process, channel, filter)
        for process in ("p1", "p2")
        for channel in (TASKS, f"{TASKS}:d1")
        for filter in (None, {"status": "open"})
    ]
    for process in ("p1", "p2"):
        registry.leave(process, groups)
        registry.leave(process, groups)  # once more: what was left is left
    left = {key.removeprefix("{platform}:routing:") for key in client.keys("*routing*")}
    assert left == {"processes", "process:p1", "process:p2", "sequence"}


def test_who_leaves_takes_nobody_along(registry: Subscriptions, joins: Joins) -> None:
    """Also not one whose name begins as theirs does."""
    part = joins("p1", TASKS, {"status": "open"})
    joins("p11", TASKS, {"status": "open"})
    registry.leave("p1", [part])
    assert told(registry) == {part.key: ["p11"]}
    assert registry.filter_texts([OPEN.key])


def test_a_process_that_gives_no_sign_of_life_is_swept(registry: Subscriptions, joins: Joins) -> None:
    whole = joins("alive", TASKS)
    joins("dead", TASKS)
    joins("dead", TASKS, {"status": "open"})
    assert registry.open("dead", ttl_s=0.05)

    def swept() -> bool:
        registry.sweep()
        return told(registry) == {whole.key: ["alive"]}

    assert eventually(swept)
    assert registry.processes() == ["alive"]
    assert registry.filter_texts([OPEN.key]) == {}


def test_a_process_that_was_swept_is_told_so_and_may_not_join(registry: Subscriptions, joins: Joins) -> None:
    joins("p1", TASKS)
    registry.open("p1", ttl_s=0.001)
    assert eventually(lambda: registry.sweep() or registry.processes() == [])
    assert registry.beat("p1") is False
    assert registry.join("p1", [Group(TASKS)]) is False
    assert told(registry) == {}


def test_a_late_sign_of_life_before_the_sweep_is_in_time(
    registry: Subscriptions, client: redis.Redis, joins: Joins
) -> None:
    joins("p1", TASKS)
    client.delete("{platform}:routing:process:p1")
    assert registry.beat("p1") is True
    registry.sweep()
    assert registry.processes() == ["p1"]


def test_the_dead_are_swept_a_part_at_a_time(registry: Subscriptions, client: redis.Redis) -> None:
    registry.open("p1")
    registry.join("p1", [Group(f"{TASKS}:d{number}") for number in range(25)])
    client.delete("{platform}:routing:process:p1")
    assert [registry.sweep(10) for _ in range(4)] == [10, 10, 5, 0]
    assert registry.open("p1") is True
    assert client.keys("*routing:channel*") + client.keys("*routing:dead*") == []


def test_a_name_is_not_used_again_while_it_is_swept(registry: Subscriptions, client: redis.Redis) -> None:
    registry.open("p1")
    registry.join("p1", [Group(f"{TASKS}:d{number}") for number in range(25)])
    client.delete("{platform}:routing:process:p1")
    registry.sweep(10)
    assert registry.open("p1") is False


def test_a_process_that_ends_leaves_everything(registry: Subscriptions, client: redis.Redis, joins: Joins) -> None:
    joins("p1", TASKS)
    joins("p1", TASKS, {"status": "open"})
    registry.close("p1")
    registry.close("p1")
    assert client.keys("*routing:*") == ["{platform}:routing:sequence"]


def test_the_latest_join_grows_also_when_the_server_forgot_it(
    registry: Subscriptions, client: redis.Redis, joins: Joins
) -> None:
    joins("p1", TASKS)
    first = registry.lookup([TASKS]).seen
    client.flushall()
    joins("p1", TASKS)
    assert registry.lookup([TASKS]).seen > first


@pytest.mark.parametrize("count", [0, 1, 1_200])
def test_any_number_of_groups_is_joined_and_left(registry: Subscriptions, count: int) -> None:
    channels = [f"{TASKS}:d{number}" for number in range(count)]
    groups = [Group(channel, filter) for channel in channels for filter in (None, OPEN)]
    registry.open("p1")
    assert registry.join("p1", groups)
    found = registry.lookup(channels).groups
    assert [group.key for channel in channels for group in found[channel]] == [group.key for group in groups]
    registry.leave("p1", groups)
    assert registry.lookup(channels).groups == {}


ACTS = st.tuples(
    st.sampled_from(["join", "leave", "die"]),
    st.sampled_from(["p1", "p2", "p3"]),
    st.sampled_from([TASKS, f"{TASKS}:d1"]),
    st.sampled_from([None, OPEN, DONE]),
)


@given(st.lists(ACTS, max_size=40))
@rules(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_the_registry_knows_who_is_in(client: redis.Redis, acts: list[tuple]) -> None:
    client.flushall()
    registry = Subscriptions(client, Settings())
    expected: set[tuple[str, str]] = set()
    for act, process, channel, filter in acts:
        group = Group(channel, filter)
        if act == "join":
            registry.open(process)
            registry.join(process, [group])
            expected.add((process, group.key))
        elif act == "leave":
            registry.leave(process, [group])
            expected.discard((process, group.key))
        else:
            registry.close(process)
            expected = {one for one in expected if one[0] != process}
    found = registry.lookup([TASKS, f"{TASKS}:d1"])
    assert {(p, g.key) for groups in found.groups.values() for g in groups for p in g.processes} == expected
    in_use = {key.partition("@")[0] for _, key in expected if "@" in key}
    assert registry.filter_texts([OPEN.key, DONE.key]).keys() == in_use
