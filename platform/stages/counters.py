"""What went through each stage: counted in the record store, over all workers, and kept over restarts."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, cast

import redis

from platform import store

log = logging.getLogger(__name__)

SEPARATOR = "\x1f"
#: Upper bounds of how many changes one call had.
SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)
#: Upper bounds of how long a call took, in seconds.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


@dataclass(frozen=True)
class Count:
    """Of one call: changes it was given, changes it passed on, those it dropped, those that failed."""

    received: int
    passed: int
    dropped: int
    failed: int
    seconds: float


def count(stage: str, call: Count) -> None:
    """Add one call; a store that is away costs the count, not the work."""
    if not call.received:
        return
    numbers = {"in": call.received, "out": call.passed, "dropped": call.dropped, "failed": call.failed}
    slots = {
        f"size{SEPARATOR}{_slot(SIZES, call.received)}": 1,
        f"seconds{SEPARATOR}{_slot(SECONDS, call.seconds)}": 1,
    }
    try:
        with store.client().pipeline(transaction=False) as pipe:
            for name, number in (numbers | slots | {"calls": 1}).items():
                if number:
                    pipe.hincrby(_key(), f"{stage}{SEPARATOR}{name}", number)
            pipe.hincrbyfloat(_key(), f"{stage}{SEPARATOR}sum", call.seconds)
            pipe.execute()
    except redis.RedisError as exc:
        log.warning("a call of stage %s is not counted: %s", stage, exc)


def counters() -> dict[str, dict[str, float]]:
    """Each stage's counters by name: in, out, dropped, failed, calls, sum (seconds), and those of buckets."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for field, number in cast(dict[str, Any], store.client().hgetall(_key())).items():
        stage, _, name = field.partition(SEPARATOR)
        found[stage][name] = float(number)
    return dict(found)


def cumulative(bounds: tuple[float, ...], own: dict[str, float], name: str) -> list[tuple[str, float]]:
    """A histogram's buckets as Prometheus has them."""
    buckets, seen = [], 0.0
    for place, bound in enumerate([*map(str, bounds), "+Inf"]):
        seen += own.get(f"{name}{SEPARATOR}{place}", 0)
        buckets.append((bound, seen))
    return buckets


def _slot(bounds: tuple[float, ...], value: float) -> int:
    return next((place for place, bound in enumerate(bounds) if value <= bound), len(bounds))


def _key() -> str:
    return f"{store.key_prefix()}metrics:stages"
