"""Dramatiq with its Redis broker."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench.systems.work import work

DISTRIBUTION = "dramatiq"

dramatiq.set_broker(RedisBroker(url=os.environ["BENCH_VALKEY_URL"]))


@dramatiq.actor
def job(goal: int) -> None:
    work(goal)


def submit(goal: int) -> None:
    job.send(goal)
