"""Dramatiq with its Redis broker."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits.backends import RedisBackend

from bench.systems.work import say, work

DISTRIBUTION = "dramatiq"

broker = RedisBroker(url=os.environ["BENCH_VALKEY_URL"])
broker.add_middleware(GroupCallbacks(RedisBackend(url=os.environ["BENCH_VALKEY_URL"])))
dramatiq.set_broker(broker)


@dramatiq.actor
def job(goal: int) -> None:
    work(goal)


def submit(goal: int) -> None:
    job.send(goal)


@dramatiq.actor
def item(number: int) -> None:
    pass


@dramatiq.actor
def ended() -> None:
    say()


def batch(items: int) -> None:
    group = dramatiq.group([item.message(number) for number in range(items)])
    group.add_completion_callback(ended.message())
    group.run()
