"""This platform from Python."""

from bench.systems.work import say, work
from tasks import app, bulk
from tasks.batch import create_batch, item_task

DISTRIBUTION = "celery-platform"


@app.task(public=True)
def job(goal: int) -> None:
    work(goal)


def submit(goal: int) -> None:
    job.delay(goal)


@item_task(public=True)
def item(number: int) -> int:
    return number


@app.task(public=True)
def ended(batch_id: str) -> None:
    say()


def batch(items: int) -> None:
    create_batch(item, count=items, on_complete=ended)


def submit_many(count: int) -> None:
    bulk.submit_many(job, ((count,) for _ in range(count)))


def recorded() -> int:
    """How many jobs are on record as completed."""
    from platform.jobs.ledger import ledger

    return ledger().counts()[""]["completed"]
