"""A user's module whose tasks are submitted by thousands; of every kind that has a say in its own message.

Tests import it, so its tasks are not shared with other apps of their process.
"""

from pydantic import BaseModel

from tasks import app
from tasks.unique import Unique


@app.task(name="bulky.add", shared=False, public=True)
def add(a, b=1):
    return a + b


@app.task(name="bulky.urgent", shared=False, bind=True, queue="batch", priority=8, max_retries=7, public=True)
def urgent(self, value=None, **more):
    return value


@app.task(
    name="bulky.limited", shared=False, time_limit=60, soft_time_limit=30, expires=600, ignore_result=True, typing=False
)
def limited(value=None):
    return value


@app.task(name="bulky.squeezed", shared=False, serializer="json", compression="gzip")
def squeezed(value):
    return value


class Stamped(app.Task):
    """A base class of the user's own, which puts something into each message."""

    def apply_async(self, args=None, kwargs=None, **options):
        headers = {"stamp": len(args or ()), **(options.pop("headers", None) or {})}
        return super().apply_async(args, kwargs, headers=headers, **options)


@app.task(name="bulky.stamped", shared=False, base=Stamped)
def stamped(*values):
    return values


class Named(app.Task):
    def shadow_name(self, args, kwargs, options):
        return f"{self.name}/{args[0]}"


@app.task(name="bulky.named", shared=False, base=Named)
def named(value):
    return value


class Point(BaseModel):
    x: int = 0


@app.task(name="bulky.typed", shared=False, pydantic=True)
def typed(point: Point):
    return point.x


@app.task(name="bulky.single", shared=False, unique=True, public=True)
def single(value):
    return value


@app.task(name="bulky.rejecting", shared=False, unique=Unique(on_conflict="reject"), public=True)
def rejecting(value):
    return value


@app.task(name="bulky.replacing", shared=False, unique=Unique(on_conflict="replace"), public=True)
def replacing(value):
    return value


@app.task(name="bulky.spread", shared=False, bind=True)
def spread(self, count):
    """Submits others from inside a job."""
    from tasks.bulk import submit_many

    return list(submit_many(add, ((number,) for number in range(count))))
