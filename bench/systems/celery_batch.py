"""Stock Celery whose messages kombu gathers: ``Producer.batch``, which Celery itself never uses."""

from bench.systems.celery_tasks import DISTRIBUTION, app, job

app.conf.task_default_queue = "batched"

__all__ = ["DISTRIBUTION", "submit_many"]


def submit_many(count: int) -> None:
    with app.producer_pool.acquire(block=True) as producer, producer.batch():
        for _ in range(count):
            job.apply_async((count,), producer=producer)
