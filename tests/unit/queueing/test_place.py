"""The keys of queues: where the transport puts its messages, and where the script looks for pauses."""

from __future__ import annotations

from collections.abc import Callable

from platform.queueing import place
from platform.transport import Channel


def test_a_queues_lists_are_those_of_the_transport(settings_env: Callable[..., None]) -> None:
    channel = Channel.__new__(Channel)
    channel.priority_steps = list(range(10))
    put = {
        p: channel._q_for_pri("batch", channel._get_message_priority({"properties": {"priority": p}}))
        for p in range(10)
    }
    assert place.lists("batch") == {p: f"{{platform}}:queue:{key}" for p, key in put.items()}
    assert list(place.lists("batch")) == list(range(9, -1, -1))


def test_no_queues_name_can_hide_what_is_paused(settings_env: Callable[..., None]) -> None:
    settings_env(key_prefix="shop")
    assert place.paused() == "{shop}:queues:paused"
    assert place.bell("batch") == "{shop}:queue:bell:batch"
