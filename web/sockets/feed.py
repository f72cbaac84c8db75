"""What this process is told: its own channel in the store, read by one greenlet, and whether that can be relied on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

import redis

from platform import endpoints, store
from platform.settings import Settings
from platform.streams.names import socket_channel

log = logging.getLogger(__name__)

#: How often the connection is asked whether it carries everything, and how long it may take to say so, in seconds.
ASK_S = 1.0
SILENCE_S = 5.0
READ_S = 0.5


class FeedLost(Exception):
    """The connection was lost, or says nothing: some of what was told may not have come."""


class Feed:
    """One subscription connection. ``certain_us``: all that was told before then, by the store's clock, has come."""

    def __init__(self, config: Settings, clock: Callable[[], int], take: Callable[[Iterable[bytes]], None]):
        self.config = config
        self.certain_us = 0
        self._clock, self._take = clock, take
        self._client = store.connect(endpoints.redis_url(config), config, timeout_s=None, as_text=False)
        self._pubsub: Any = None
        self._asked_at = 0.0
        self._asked_us: int | None = None

    def open(self, process: str) -> None:
        """Hear what is told to that process from now on. Raises FeedLost."""
        self.close()
        self._pubsub = self._client.pubsub(ignore_subscribe_messages=False)
        try:
            self._pubsub.subscribe(socket_channel(store.key_prefix(self.config), process))
            self._await_subscription()
        except (redis.RedisError, OSError) as exc:
            raise FeedLost(str(exc)) from exc
        self._asked_us, self._asked_at = None, 0.0

    def read(self) -> None:
        """Take what has come, waiting for half a second at most, and ask whether it is all. Raises FeedLost."""
        try:
            self._ask()
            is_silent = not self._read()
        except (redis.RedisError, OSError) as exc:
            raise FeedLost(str(exc)) from exc
        # In a busy process the answer may stand behind much that was told: only silence is a sign.
        if is_silent and self._asked_us is not None and time.monotonic() - self._asked_at > SILENCE_S:
            raise FeedLost("the store said nothing")

    def close(self) -> None:
        if self._pubsub is not None:
            self._pubsub.close()
            self._pubsub = None

    def _await_subscription(self) -> None:
        deadline = time.monotonic() + SILENCE_S
        while time.monotonic() < deadline:
            message = self._pubsub.get_message(timeout=READ_S)
            if message is not None and message["type"] == "subscribe":
                return
        raise FeedLost("the store did not confirm the subscription")

    def _ask(self) -> None:
        now = time.monotonic()
        if self._asked_us is None and now - self._asked_at > ASK_S:
            self._asked_at, self._asked_us = now, self._clock()
            self._pubsub.ping()

    def _read(self) -> bool:
        """Whether anything came; messages that are there already are taken together."""
        # A process that had no turn for so long finds that time is over, and looks only then.
        message = self._pubsub.get_message(timeout=READ_S) or self._pubsub.get_message(timeout=0)
        has_come, several = message is not None, []
        while message is not None:
            if message["type"] == "message":
                several.append(message["data"])
            elif message["type"] == "pong" and self._asked_us is not None:
                self._take(several)
                several = []
                self.certain_us, self._asked_us = self._asked_us, None
            elif message["type"] == "subscribe":
                # redis-py connected anew by itself: what was told in between is lost to us.
                self._take(several)
                raise FeedLost("the store closed the connection")
            if len(several) >= 64:
                break
            message = self._pubsub.get_message(timeout=0)
        self._take(several)
        return has_come
