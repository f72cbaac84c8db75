"""What unit tests of several folders stand in for."""

from __future__ import annotations

import pytest
import redis

from platform import store


@pytest.fixture
def no_record_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record store is away, as it looks to whoever asks it."""

    def away() -> redis.Redis:
        raise redis.ConnectionError("nobody is there")

    monkeypatch.setattr(store, "client", away)
