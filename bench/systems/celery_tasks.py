"""Stock Celery: Redis transport, Redis result backend; ``BENCH_IGNORE_RESULT=1`` leaves the results out."""

import os

from celery import Celery, chord, group

from bench.systems.work import say, work

DISTRIBUTION = "celery"

app = Celery("bench", broker=os.environ["BENCH_VALKEY_URL"], backend=os.environ["BENCH_VALKEY_URL"])
app.conf.task_ignore_result = os.environ.get("BENCH_IGNORE_RESULT") == "1"


@app.task
def job(goal: int) -> None:
    work(goal)


def submit(goal: int) -> None:
    job.delay(goal)


@app.task
def item(number: int) -> int:
    return number


@app.task
def ended() -> None:
    say()


def batch(items: int) -> None:
    chord(group(item.s(number) for number in range(items)), ended.si()).delay()


def submit_many(count: int) -> None:
    for _ in range(count):
        job.delay(count)
