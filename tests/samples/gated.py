"""A user's module of tasks with limits; each run leaves a line: who, when it began, when it ended."""

import os
import time

from tasks import RetryLater, app


def run(path, label, seconds):
    began = time.time()
    time.sleep(seconds)
    with open(path, "a") as file:
        file.write(f"{label} {began:.6f} {time.time():.6f} {os.getpid()}\n")


@app.task
def free(path, label, seconds=0.0):
    run(path, label, seconds)


@app.task(concurrency=1)
def one(path, label, seconds=0.0):
    run(path, label, seconds)


@app.task(concurrency=3)
def three(path, label, seconds=0.0):
    run(path, label, seconds)


@app.task(concurrency=1, limit_by="customer")
def each(path, label, seconds=0.0, customer=""):
    run(path, label, seconds)


@app.task(rate_limit="10/s")
def ten(path, label, seconds=0.0):
    run(path, label, seconds)


@app.task(rate_limit="100/s")
def hundred(path, label, seconds=0.0):
    run(path, label, seconds)


@app.task(concurrency=2, rate_limit="20/s")
def both(path, label, seconds=0.0):
    run(path, label, seconds)


@app.task(concurrency=1)
def hold(path, label, gate):
    """Run until the file ``gate`` exists."""
    began = time.time()
    deadline = time.monotonic() + 60
    while not os.path.exists(gate) and time.monotonic() < deadline:
        time.sleep(0.01)
    with open(path, "a") as file:
        file.write(f"{label} {began:.6f} {time.time():.6f} {os.getpid()}\n")


@app.task(concurrency=1, bind=True)
def later(self, path, label, failures):
    """Come back so many times, then complete."""
    run(path, f"{label}.{self.request.retries}", 0.02)
    if self.request.retries < failures:
        raise RetryLater(0.1, "not yet")
