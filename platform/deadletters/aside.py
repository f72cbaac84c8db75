"""What the leases put aside on the broker becomes dead letters: bytes that are no message, and poison.

Every worker does this all the time; any number may at once. The entry keeps a name of its own on the broker until its
letter is written, so that a program that dies in between loses nothing and doubles nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from platform import endpoints
from platform.deadletters.broker import broker_client
from platform.deadletters.content import Content, content_of
from platform.deadletters.death import Death, Parked
from platform.deadletters.letter import Reason
from platform.deadletters.register import DeadLetters, dead_letters
from platform.deadletters.scripts import SCRIPTS
from platform.leases.scripts import run
from platform.settings import settings
from platform.transport import key_prefix

log = logging.getLogger(__name__)

BATCH = 100
MOST_BATCHES = 20
STEP = b"\x06"


def take_aside(on_death: Callable[[Content, str], None] = lambda content, error: None) -> int:
    """Make letters of what lies aside, 2 000 entries at most; returns how many. On RabbitMQ nothing ever does.

    ``on_death`` hears of each job whose workers died, with its message's content and the error.
    """
    if not endpoints.is_redis(endpoints.broker_url(settings())):
        return 0
    taken = 0
    for _ in range(MOST_BATCHES):  # the caller has other duties, too
        count = _take_some(dead_letters(), on_death)
        taken += count
        if count < BATCH:
            break
    return taken


def _take_some(letters: DeadLetters, on_death: Callable[[Content, str], None]) -> int:
    prefix = key_prefix(settings())
    found = run(broker_client(), SCRIPTS["claim"], args=[prefix, BATCH])
    for name, entry in zip(found[::2], found[1::2], strict=True):
        death = death_of(entry, prefix)
        parked = letters.park(death, tag=name.decode(), delivery=f"aside {name.decode()}")
        if death.reason == Reason.WORKER_LOST and isinstance(parked, Parked):
            on_death(content_of(death.message_bytes, death.queue), death.error["message"])
        broker_client().hdel(f"{prefix}aside", name)
        log.warning("a message of queue %s is a dead letter now: %s", death.queue, death.reason)
    return len(found) // 2


def death_of(entry: bytes, prefix: str) -> Death:
    """An entry as ``claim.lua`` gives it: which list it lay in, and the lines that the leases wrote there."""
    kind, _, rest = entry.partition(b"\n")
    if kind == b"crashed":
        queue_list, deaths, message = rest.split(b"\n", 2)
        return _of_crashed(queue_list.decode().removeprefix(prefix).partition(STEP.decode())[0], int(deaths), message)
    queue, _, message = rest.partition(b"\n")
    return _of_undecodable(queue.decode(errors="replace"), message)


def _of_crashed(queue: str, deaths: int, message: bytes) -> Death:
    error = {"type": "WorkerLost", "message": f"{deaths} workers died while they held it"}
    return Death.of(message, queue, Reason.WORKER_LOST, error, attempts=deaths, evidence={"deaths": deaths})


def _of_undecodable(queue: str, message: bytes) -> Death:
    content = content_of(message, queue)
    if content.is_opaque:
        return Death.of(message, queue, Reason.UNDECODABLE, {"type": "Undecodable", "message": content.problem})
    problem = content.problem or "its headers are not those of a task's message"
    return Death.of(message, queue, Reason.INVALID, {"type": "InvalidMessage", "message": problem})
