"""The heart goes on beating, whatever a beat stumbles over."""

from __future__ import annotations

import threading

import pytest
import redis

from platform.leases.lease import Heart


@pytest.mark.parametrize("error", [redis.ConnectionError("away"), ValueError("no"), RuntimeError("no new thread")])
def test_a_beat_that_fails_is_told_and_followed_by_another(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    failed, went_on = threading.Event(), threading.Event()

    def beat() -> None:
        if not failed.is_set():
            failed.set()
            raise error
        went_on.set()

    heart = Heart(beat, 0.01)
    heart.start()
    assert went_on.wait(10)
    heart.stop()
    heart.join(10)
    assert not heart.is_alive()
    assert f"the lease could not be renewed: {error}" in caplog.text
