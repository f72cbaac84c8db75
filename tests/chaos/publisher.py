"""A program that has something happen: ``python -m tests.chaos.publisher ACT ARGUMENTS``, the arguments as JSON.

The last line it prints is what its function returned, as JSON.
"""

from __future__ import annotations

import json
import random
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import tasks  # noqa: F401 - first: it makes `platform` complete
from platform.documents.change import Change
from platform.routing import rooms
from platform.settings import settings
from platform.streams.delivery import streams
from tasks.pipeline import submit

MODEL = "task"
TICK_S = 0.1
#: Changes on their way at most: more would only be waited for in the end.
MOST_WAITING = 1_500
#: Of changes, new documents; the others are patches.
NEW = 0.1
STATUSES = [f"s{number}" for number in range(12)]
MOST_N = 1_000


def create(users: Sequence[str], documents: int) -> int:
    """Make the documents that `change` patches, each user's in turn; returns how many when all have been told."""
    submit([_new(id_of(number), users[number % len(users)], random.Random(number)) for number in range(documents)])
    while _told() < documents:
        time.sleep(TICK_S)
    return documents


def change(users: Sequence[str], documents: int, per_s: float, seconds: float, seed: int) -> dict[str, Any]:
    """Ask for so many changes a second, as far as they can be made: how many that were, and how long it took."""
    chance, asked, before, began = random.Random(seed), 0, _told(), time.monotonic()
    while (elapsed_s := time.monotonic() - began) < seconds:
        some = max(0, min(int(per_s * TICK_S), MOST_WAITING - (asked - (_told() - before))))
        if some:
            submit([_some_change(chance, users, documents, f"n{seed}-{asked + number}") for number in range(some)])
        asked += some
        time.sleep(max(0.0, began + elapsed_s + TICK_S - time.monotonic()))
    return {"asked": asked, "seconds": time.monotonic() - began}


def talk(room: str, per_s: float, seconds: float) -> int:
    """Say something in a room so many times a second; returns how often."""
    began, said = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        rooms.publish(settings().app_id, room, {"said": said})
        said += 1
        time.sleep(max(0.0, began + said / per_s - time.monotonic()))
    return said


def id_of(number: int) -> str:
    """Of the documents that `create` makes."""
    return f"d{number}"


def _told() -> int:
    return streams().counts().get("appended", 0)


def _some_change(chance: random.Random, users: Sequence[str], documents: int, new_id: str) -> Change:
    if chance.random() < NEW:
        return _new(new_id, chance.choice(users), chance)
    operations = [
        {"op": "replace", "path": "/status", "value": chance.choice(STATUSES)},
        {"op": "replace", "path": "/n", "value": chance.randrange(MOST_N)},
    ]
    return _change("patch", id_of(chance.randrange(documents)), patch=operations)


def _new(id: str, user: str, chance: random.Random) -> Change:
    data = {"title": f"t{id}", "status": chance.choice(STATUSES), "n": chance.randrange(MOST_N)}
    return _change("create", id, user_id=user, data=data)


def _change(act: Any, id: str, **more: Any) -> Change:
    return Change(str(uuid.uuid4()), act, settings().app_id, MODEL, id, **more)


if __name__ == "__main__":
    acts: dict[str, Callable[..., Any]] = {"create": create, "change": change, "talk": talk}
    print(json.dumps(acts[sys.argv[1]](*json.loads(sys.argv[2]))), flush=True)
