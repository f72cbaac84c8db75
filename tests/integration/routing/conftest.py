"""A registry on the session's empty Valkey, beside streams."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from platform.documents.filters import parsed
from platform.routing.matching import Router
from platform.routing.subscriptions import Group, Subscriptions
from platform.settings import Settings
from tests.integration.streams.conftest import client, follower, streams

__all__ = ["client", "follower", "streams"]


@pytest.fixture
def registry(client: redis.Redis) -> Subscriptions:
    return Subscriptions(client, Settings())


@pytest.fixture
def router(registry: Subscriptions) -> Router:
    return Router(registry)


@pytest.fixture
def joins(registry: Subscriptions) -> Callable[..., Group]:
    """A living process joins a group: ``joins("p1", "app:shop:model:task", {"n": 1})``."""

    def join(process: str, channel: str, filter: dict[str, object] | None = None) -> Group:
        group = Group(channel, parsed(filter) if filter is not None else None)
        assert registry.open(process)
        assert registry.join(process, [group])
        return group

    return join
