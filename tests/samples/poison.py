"""Jobs that end their process, their worker, their memory or their time, until a file says that they are mended.

Every run leaves its trace as those of ``toil`` do.
"""

import os
import resource
import signal
import time

from toil import note

from tasks import app

MEGABYTE = 2**20


def suffer(task, mended, harm):
    note("start", task.request.id)
    if not os.path.exists(mended):
        harm()
    note("end", task.request.id)
    return "mended"


@app.task(public=True, bind=True)
def leave(self, mended):
    return suffer(self, mended, lambda: os._exit(3))


@app.task(public=True, bind=True)
def kill_child(self, mended):
    return suffer(self, mended, lambda: os.kill(os.getpid(), signal.SIGKILL))


@app.task(public=True, bind=True)
def kill_worker(self, mended):
    return suffer(self, mended, end_worker)


@app.task(public=True, bind=True)
def exhaust(self, mended):
    return suffer(self, mended, take_all_memory)


@app.task(public=True, bind=True, time_limit=2)
def overrun(self, mended):
    return suffer(self, mended, lambda: time.sleep(30))


def end_worker():
    """As the kernel's out-of-memory killer may, when the main process is the largest."""
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(30)


def take_all_memory():
    """Take more and more, where no more than 200 MB may be added."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        has = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + 200 * MEGABYTE, before[1]))
    taken = []
    try:
        while True:
            taken.append(b"x" * (8 * MEGABYTE))
    finally:
        taken.clear()
        resource.setrlimit(resource.RLIMIT_AS, before)
