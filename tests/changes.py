"""Documents and their changes, as the store would tell them, and what a subscriber does with frames."""

from __future__ import annotations

import json
import time
from typing import Any

import redis

from platform.documents.change import Act, Committed
from platform.documents.patch import applied, pointer_to
from platform.streams.delivery import Entry, Streams

NOW_MS = int(time.time() * 1000)


def document(version: int, id: str = "d1", user: str = "ann", **fields: Any) -> dict[str, Any]:
    system = {"appId": "shop", "userId": user, "type": "task", "id": id, "version": version}
    return system | {"createdAt": "2026-11-22T10:00:00.000Z", "updatedAt": "2026-11-22T10:00:00.000Z"} | fields


def change(version: int, act: Act | None = None, id: str = "d1", user: str = "ann", **more: Any) -> Committed:
    """A document's change number ``version``: its field ``n`` counts along."""
    act = act or ("create" if version == 1 else "patch")
    before = None if act == "create" else document(version - 1, id, user, n=version - 1)
    # Of a deletion the store tells the last document, as it was.
    after = before if act == "delete" else document(version, id, user, n=version)
    fields = {"n": version, "version": version}
    operations = [{"op": "replace", "path": f"/{name}", "value": value} for name, value in fields.items()]
    facts = {
        "change_id": f"{id}-{version}",
        "document": after,
        "before": before,
        "operations": operations if act == "patch" else [],
        "at_ms": NOW_MS,
        "before_ms": NOW_MS if version > 1 else 0,
    }
    return Committed(act=act, app_id="shop", user_id=user, type="task", id=id, version=version, **(facts | more))


def entry(version: int, targets: dict[str, Any] | None = None, **more: Any) -> Entry:
    return Entry(change(version, **more), targets or {})


def kept(client: redis.Redis, id: str | None = None, stream: str = "shop:task") -> list[dict[str, str]]:
    """The stream's entries, each with its ``offset``; of one document, if named."""
    found = client.xrange(f"{{platform}}:stream:{stream}")
    entries = [{"offset": int(offset.removesuffix("-0")), **fields} for offset, fields in found]
    return [one for one in entries if id in (None, one["id"])]


def versions(client: redis.Redis, id: str = "d1") -> list[int]:
    return [int(one["version"]) for one in kept(client, id)]


def replayed(document: dict[str, Any] | None, frame: dict[str, Any]) -> dict[str, Any] | None:
    """What a subscriber has after a data frame, with what it had before."""
    if frame["event"] == "model_deleted":
        return None
    if frame["event"] == "model_created":
        return frame["data"]
    for operation in frame["data"]:
        if operation["path"] == []:
            document = operation["value"][0]
            continue
        assert document is not None
        # The platform's own operations change system fields too, which ``normalised`` would refuse.
        document = applied(document, [_plain(operation)], 1_000_000)
    return document


def _plain(operation: dict[str, Any]) -> dict[str, Any]:
    """A frame's operation, with pointers."""
    found = {"op": operation["op"]} | {m: pointer_to(operation[m]) for m in ("path", "from") if m in operation}
    return found | ({"value": operation["value"][0]} if "value" in operation else {})


def without_hold(streams: Streams) -> Streams:
    """The same, but every gap is overdue at once."""
    streams.hold_s = 0
    return streams


class Follower:
    """A socket process that only listens."""

    def __init__(self, pubsub: redis.client.PubSub):
        self.pubsub = pubsub
        self.messages: list[list[dict[str, Any]]] = []

    def items(self, count: int) -> list[dict[str, Any]]:
        """The first ``count`` items told, in their order; fails if there are not that many within five seconds."""
        deadline = time.monotonic() + 5
        while sum(map(len, self.messages)) < count:
            assert time.monotonic() < deadline, f"told only {self.messages}"
            if (message := self.pubsub.get_message(ignore_subscribe_messages=True, timeout=0.2)) is not None:
                self.messages.append(json.loads(message["data"]))
        return [item for message in self.messages for item in message]
