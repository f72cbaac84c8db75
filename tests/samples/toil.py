"""Jobs that leave a trace outside the platform: one line for every start and every end, appended to a file.

``TOIL_LOG`` names the file, ``TOIL_WORKER`` the worker that runs them, another one each time it is started.
"""

import os
import time

from tasks import app


def note(what, job_id):
    line = f"{what} {job_id} {os.environ['TOIL_WORKER']} {os.getpid()} {time.time():.3f}\n"
    # One write to a file opened to append: lines of several processes do not mix, and a killed one's are there.
    file = os.open(os.environ["TOIL_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, line.encode())
    os.close(file)


@app.task(public=True, bind=True)
def work(self, seconds):
    note("start", self.request.id)
    time.sleep(seconds)
    note("end", self.request.id)
    return seconds


@app.task(public=True, bind=True)
def long(self, seconds, steps=100):
    """Says how far it is, as long jobs do."""
    note("start", self.request.id)
    for step in range(steps):
        self.progress(step, steps)
        time.sleep(seconds / steps)
    note("end", self.request.id)
    return seconds
