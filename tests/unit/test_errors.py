"""Errors of queues: what they say, and that they survive a trip between processes."""

from __future__ import annotations

import pickle

import pytest

from platform.errors import PlatformError, QueueNotServed, UnknownQueue


@pytest.mark.parametrize("error", [UnknownQueue("ofload", ("offload", "batch")), QueueNotServed("dead-letter")])
def test_an_error_survives_pickling(error: PlatformError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_an_unknown_queue_is_told_the_nearest_or_all() -> None:
    assert str(UnknownQueue("ofload", ("offload", "batch"))) == "there is no queue 'ofload'; did you mean 'offload'?"
    assert str(UnknownQueue("xyz", ("offload", "batch"))) == "there is no queue 'xyz'; there are offload, batch"
