"""RQ; its function is ``work`` itself."""

import os

from redis import Redis
from rq import Queue

from bench.systems.work import work

DISTRIBUTION = "rq"

queue = Queue(connection=Redis.from_url(os.environ["BENCH_VALKEY_URL"]))


def submit(goal: int) -> None:
    queue.enqueue(work, goal)


def batch(items: int) -> None:
    queue.enqueue_many([Queue.prepare_data(work, args=(items,)) for _ in range(items)])
