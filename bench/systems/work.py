"""What every job does, whatever carries it: count itself, and send word once the goal is reached."""

from __future__ import annotations

import os
from functools import cache

import redis

COUNTER = "bench:done"
WORD = "bench:word"


@cache
def valkey() -> redis.Redis:
    return redis.Redis.from_url(os.environ["BENCH_VALKEY_URL"], socket_timeout=None)  # a BLPOP may take long


def say() -> None:
    """The word itself: all is done."""
    valkey().rpush(WORD, 1)


def work(goal: int) -> None:
    """One INCR; from the ``goal``-th job on one RPUSH more."""
    done = int(valkey().incr(COUNTER))
    if done >= goal:
        valkey().rpush(WORD, done)
