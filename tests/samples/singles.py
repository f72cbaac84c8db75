"""A user's module of unique tasks. Each leaves a line for every run and goes on until a file, its gate, appears."""

import os
import time

from tasks import app
from tasks.unique import Unique


def work(folder, label):
    with open(os.path.join(folder, "runs"), "a") as file:
        file.write(f"{label}\n")
    deadline = time.monotonic() + 60
    while not os.path.exists(os.path.join(folder, "gate")) and time.monotonic() < deadline:
        time.sleep(0.01)
    return label


@app.task(name="singles.done", unique=True)
def done(folder, label="a"):
    return work(folder, label)


@app.task(name="singles.start", unique={"until": "start"}, max_retries=1)
def start(folder, label="a"):
    return work(folder, label)


@app.task(name="singles.timed", unique=Unique(for_s=2))
def timed(folder, label="a"):
    return work(folder, label)


@app.task(name="singles.rejecting", unique=Unique(on_conflict="reject"))
def rejecting(folder, label="a"):
    return work(folder, label)


@app.task(name="singles.replacing", unique=Unique(on_conflict="replace", by="folder"), bind=True)
def replacing(self, folder, label="a"):
    with open(os.path.join(folder, "runs"), "a") as file:
        file.write(f"{label}\n")
    while not self.cancelled() and not os.path.exists(os.path.join(folder, "gate")):
        time.sleep(0.02)
    self.progress(1, 1)
    return label


@app.task(name="singles.failing", unique=True, max_retries=0)
def failing(folder, label="a"):
    work(folder, label)
    raise ValueError("no")


@app.task(name="singles.passing", unique=True)
def passing(value):
    return value


@app.task(name="singles.plain")
def plain(value=None):
    return value


@app.task(name="singles.total")
def total(values):
    return len(values)


@app.task(name="singles.retried", unique={"until": "start"}, bind=True)
def retried(self, folder):
    with open(os.path.join(folder, "runs"), "a") as file:
        file.write("run\n")
    if self.request.retries == 0:
        raise self.retry(countdown=1.5)
    return "at last"
