"""A socket process that only writes down what it is told: all that happened, also what no stream keeps any more."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable

import msgspec

from platform.routing.subscriptions import Group, Subscriptions
from platform.streams.event import placed
from platform.streams.names import socket_channel
from tests.chaos.deployment import Deployment
from tests.chaos.following import histories_of, settings_of
from tests.chaos.hearing import Line

#: It gives no sign of life but the first.
LIFE_S = 86_400
POLL_S = 0.3


class Item(msgspec.Struct):
    """As ``platform.streams.delivery`` describes it."""

    offset: int
    groups: list[str]
    frame: msgspec.Raw = msgspec.Raw()


class Witness(threading.Thread):
    """``lines``: what each group was told since before the thread was started, by the group's key."""

    def __init__(self, deployment: Deployment, groups: Iterable[Group]):
        super().__init__(name="witness", daemon=True)
        self.groups = {group.key: group for group in groups}
        self.lines = {key: Line() for key in self.groups}
        self.errors: list[str] = []
        self._stopping = threading.Event()
        kept, process = histories_of(deployment).streams, f"witness-{secrets.token_hex(4)}"
        self._pubsub = kept.client.pubsub(ignore_subscribe_messages=True)
        self._pubsub.subscribe(socket_channel(kept.prefix, process))
        registry = Subscriptions(kept.client, settings_of(deployment))
        registry.open(process, LIFE_S)
        registry.join(process, self.groups.values())

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                if (message := self._pubsub.get_message(timeout=POLL_S)) is not None:
                    self._take(message["data"])
        except Exception as exc:  # shown by the test
            self.errors.append(repr(exc))
        self._pubsub.close()

    def stop(self) -> None:
        self._stopping.set()
        self.join(10)

    def _take(self, message: str) -> None:
        for item in msgspec.json.decode(message, type=list[Item]):
            frame = bytes(item.frame).decode()
            assert frame, "it is to read again, though it joined before anything was routed"
            for key in item.groups:
                text = placed(frame, self.groups[key].channel, item.offset)
                self.lines[key].add(item.offset, text)
