"""A user's own module: plain tasks, a function, a provider. It knows nothing of the platform's inside."""

import os
import resource
import signal
import time

from celery.exceptions import Ignore, Reject

from tasks import Discard, RetryLater, app
from tasks.modules import function
from tasks.offload import Provider, action


@app.task(public=True)
def add(a, b):
    return a + b


@app.task
def secret():
    return "not for everybody"


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def count_all(values):
    return len(values)


@app.task(public=True, bind=True)
def slow(self, seconds, steps=50):
    for step in range(steps):
        self.progress(step, steps, f"step {step}")
        time.sleep(seconds / steps)
    return "done"


@app.task(public=True)
def stubborn(seconds):
    """Never reports, so it can only be stopped by force."""
    time.sleep(seconds)
    return "done"


@app.task(public=True, bind=True, max_retries=2)
def flaky(self, failures):
    if self.request.retries < failures:
        raise self.retry(countdown=0, exc=ValueError(f"failure {self.request.retries + 1}"))
    return "recovered"


@app.task(public=True, max_retries=0)
def broken():
    raise ValueError("it is broken")


@app.task(public=True)
def not_json():
    return object()


@app.task(public=True)
def too_large():
    return "x" * 3_000_000


@app.task(public=True)
def die():
    os._exit(3)


@app.task(public=True, bind=True)
def log_start(self, path, label):
    """Append to a file, in the order of execution."""
    with open(path, "a") as file:
        file.write(f"{label}\n")


@app.task(public=True)
def hold(path):
    """Keep its worker busy until the file appears."""
    deadline = time.monotonic() + 60
    while not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.01)


@app.task(public=True, bind=True)
def parent(self):
    return add.delay(1, 2).id


class WithHook(app.Task):
    def before_start(self, task_id, args, kwargs):
        self.request.hook_ran = True


@app.task(public=True, bind=True, base=WithHook)
def hooked(self):
    return self.request.hook_ran


@function("Calc")
def multiply(a: int, b: int = 2) -> int:
    """Multiply two integers."""
    return a * b


@function("Calc", wait_s=0)
def later(a: int) -> int:
    return a


@function("Calc")
def fail(text: str) -> None:
    raise ValueError(text)


class Shelf(Provider):
    name = "acme.shelf"

    def create_or_update(self, type, name, properties):
        return {"type": type, "name": name, **properties}

    def delete(self, type, name):
        return {"gone": name}

    @action
    def restart(self, type, name, **arguments):
        return {"restarted": name, "arguments": arguments}


@app.task(bind=True)
def replaced(self, a):
    raise self.replace(add.si(a, 1))


@app.task
def ignores():
    raise Ignore("nothing to do")


@app.task(bind=True)
def put_back(self, path):
    """Reject the first delivery, finish the second."""
    if not os.path.exists(path):
        with open(path, "w"):
            pass
        raise Reject("not yet", requeue=True)
    return "second time"


@app.task
def refuse(path, go=None):
    """Reject the first delivery for good, finish the next; each when the file ``go`` with its number is there."""
    run = count_run(path)
    if go:
        hold(f"{go}{run}")
    if run == 1:
        raise Reject("no thanks", requeue=False)
    return "with pleasure"


class Odd(Exception):
    """Is pickled, and cannot be unpickled."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


@app.task
def refuse_oddly(how):
    raise {"reject": Reject, "ignore": Ignore}[how](Odd(1, 2))


@app.task
def out_of_memory():
    raise MemoryError("no more")


def count_run(path):
    """One line per run; how many there are now."""
    with open(path, "a") as file:
        file.write(f"{os.getpid()}\n")
    with open(path) as file:
        return len(file.readlines())


@app.task
def leave(path, code):
    """End the process that runs it."""
    count_run(path)
    os._exit(code)


@app.task
def kill_child(path):
    count_run(path)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task
def kill_worker(path):
    """End the whole worker, as the kernel's out-of-memory killer may."""
    count_run(path)
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(30)


@app.task
def greedy(path):
    """Ask for more memory than there may be."""
    count_run(path)
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**30, before[1]))
    try:
        return len(b"x" * 2**32)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@app.task(time_limit=1)
def too_slow(path):
    count_run(path)
    time.sleep(30)


@app.task(soft_time_limit=1, max_retries=0)
def warned(path):
    count_run(path)
    time.sleep(30)


@app.task(bind=True)
def sometimes(self, path, failures, wait_s=0.1):
    if count_run(path) <= failures:
        raise RetryLater(wait_s, "not yet")
    return "at last"


@app.task(max_retries=1, default_retry_delay=0)
def unreadable():
    """Fail as on a file whose name is not UTF-8."""
    raise ValueError("no such file: caf\udce9")


@app.task
def never(path):
    count_run(path)
    raise Discard("there is no such customer")


@app.task(bind=True)
def polite(self, seconds):
    """Look whether it was cancelled, and say so."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if self.cancelled():
            return "stopped by itself"
        time.sleep(0.05)
    return "done"


@app.task(bind=True, max_retries=1)
def fail_after(self, path):
    """Once the file appears, fail; complete the next time."""
    hold(path)
    if self.request.retries == 0:
        raise self.retry(countdown=0)


@app.task(public=True, unique=True)
def sync(path):
    """One at a time for each path."""
    hold(path)
    return "synced"


@app.task(public=True, unique={"on_conflict": "reject"})
def import_once(path):
    hold(path)


@function("Calc", unique=True)
def double(n: int) -> int:
    time.sleep(0.5)
    return 2 * n


@app.task(acks_late=False, max_retries=0)
def hasty(fails):
    """Acknowledged before it runs."""
    if fails:
        raise ValueError("too late to give back")
    return "done"
