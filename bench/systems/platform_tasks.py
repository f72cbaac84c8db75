"""This platform from Python."""

from bench.systems.work import work
from tasks import app, bulk

DISTRIBUTION = "celery-platform"


@app.task(public=True)
def job(goal: int) -> None:
    work(goal)


def submit(goal: int) -> None:
    job.delay(goal)


def submit_many(count: int) -> None:
    bulk.submit_many(job, ((count,) for _ in range(count)))


def recorded() -> int:
    """How many jobs are on record as completed."""
    from platform.jobs.ledger import ledger

    return ledger().counts()[""]["completed"]
