"""RQ; its function is ``work`` itself."""

import os

from redis import Redis
from rq import Queue

from bench.systems.work import work

DISTRIBUTION = "rq"
CHUNK = 500

queue = Queue(connection=Redis.from_url(os.environ["BENCH_VALKEY_URL"]))


def submit(goal: int) -> None:
    queue.enqueue(work, goal)


def batch(items: int) -> None:
    queue.enqueue_many([Queue.prepare_data(work, args=(items,)) for _ in range(items)])


def submit_many(count: int) -> None:
    for first in range(0, count, CHUNK):
        queue.enqueue_many([Queue.prepare_data(work, (count,)) for _ in range(min(CHUNK, count - first))])
