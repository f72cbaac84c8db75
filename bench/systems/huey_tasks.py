"""Huey with its Redis storage."""

import os

from huey import RedisHuey

from bench.systems.work import work

DISTRIBUTION = "huey"

huey = RedisHuey("bench", url=os.environ["BENCH_VALKEY_URL"])


@huey.task()
def job(goal: int) -> None:
    work(goal)


def submit(goal: int) -> None:
    job(goal)
