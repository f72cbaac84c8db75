"""A user's module of batches: items that are quick, slow, fail, die; callbacks that write down that they ran."""

import os
import signal
import time

from tasks import Discard, RetryLater, app
from tasks.batch import add_items, create_batch, get_batch, item_task


def note(path, line):
    with open(path, "a") as file:
        file.write(f"{line}\n")


@item_task(public=True, max_retries=2)
def square(n, **kwargs):
    return n * n


@item_task(public=True, max_retries=0, queue="batch")
def picky(n, bad=(), **kwargs):
    """Fails for some items."""
    if n in bad:
        raise ValueError(f"{n} is bad")
    return n


@item_task(public=True, max_retries=0)
def unreadable(n):
    """Fail for the second item, as on a file whose name is not UTF-8."""
    if n == 1:
        raise ValueError("no such file: caf\udce9")
    return n


@item_task(public=True, max_retries=2, default_retry_delay=0)
def noted(n, path, failures=0, of=None):
    """Write down every run; the first of each item fail as often as was asked for."""
    note(path, n)
    if failures and (of is None or n in of):
        with open(path) as file:
            runs = file.read().split("\n").count(str(n))
        if runs <= failures:
            raise ValueError(f"run {runs} of {n}")
    return n


@item_task(public=True)
def hold(n, path):
    """Write down that it runs, and go on once the file `path`.go appears."""
    note(path, n)
    deadline = time.monotonic() + 60
    while not os.path.exists(f"{path}.go") and time.monotonic() < deadline:
        time.sleep(0.01)
    return n


@item_task(public=True)
def pause(n, seconds, path=None):
    time.sleep(seconds)
    if path:
        note(path, n)
    return n


@item_task(public=True)
def poison(n, path, bad=(), how="exit"):
    """Ends its process for some items."""
    note(path, n)
    if n in bad:
        if how == "exit":
            os._exit(7)
        os.kill(os.getpid() if how == "kill" else os.getppid(), signal.SIGKILL)
        time.sleep(30)
    return n


@item_task(public=True)
def kill_once(n, path, at, who="child"):
    """The first run of one item ends its process, or its worker."""
    note(path, n)
    if n == at and not os.path.exists(f"{path}.killed"):
        with open(f"{path}.killed", "w"):
            pass
        os.kill(os.getpid() if who == "child" else os.getppid(), signal.SIGKILL)
        time.sleep(30)
    return n


@item_task(public=True)
def never(n):
    raise Discard("there is no such thing")


@item_task(public=True, bind=True, max_retries=1)
def later(self, n, how):
    if self.request.retries == 0:
        if how == "raise":
            raise RetryLater(0.1, "not yet")
        raise self.retry(exc=ValueError("not yet"), countdown=0.1)
    return self.request.retries


@item_task(public=True, bind=True)
def polite(self, n, path):
    """Goes on until it is told that its batch was cancelled."""
    note(path, n)
    deadline = time.monotonic() + 30
    while not self.cancelled() and time.monotonic() < deadline:
        time.sleep(0.05)
    return "stopped by itself"


@item_task(public=True, max_retries=0)
def strict(n):
    return object() if n == 1 else "x" * 100_000 if n == 2 else n


@item_task(public=True, time_limit=1, max_retries=0)
def limited(n):
    if n == 1:
        time.sleep(30)
    return n


@item_task(public=True)
def nest(n, size):
    return create_batch(square, count=size).batch_id


@item_task(public=True)
def grow(n, batch_id=None):
    """The first item adds ten more to its own batch."""
    from platform.batches.running import current_item

    if n == 0:
        add_items(current_item().batch_id, 10, name="ten more")
    return n


@app.task(public=True)
def report(batch_id, path, word="ended"):
    batch = get_batch(batch_id)
    note(path, f"{word} {batch_id} {batch.state} {batch.completed} {batch.failed}")


@app.task(public=True)
def plain(a, b=1):
    """A task that knows nothing of batches."""
    return a + b


@app.task
def secret(n):
    return n


@item_task(public=True, bind=True, max_retries=3)
def toil(self, n, path):
    """Write down the run. Some can never succeed, and some not the first time."""
    with open(path, "ab", buffering=0) as file:
        file.write(b"%d\n" % n)
    if n % 97 == 0:
        raise Discard(f"{n} is not wanted")
    if n % 101 == 0 and self.request.retries == 0:
        raise RetryLater(0.5, "not yet")
    return n
