"""Ending work that is under way: cancelled jobs whose grace is over, and everything when the worker must go.

A running job is asked through its record; the worker that runs it looks there every second. So a cancellation needs
no message that could be lost, and outlives restarts.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from typing import Any

from celery.worker import state

from platform.jobs.ledger import ledger
from platform.settings import settings

log = logging.getLogger(__name__)

#: From the end of the grace until the process is ended by force, whatever holds it up; seconds. At most as long as a
#: lease: its heart beats until then, so nobody else gets what it holds, and those behind it wait no longer than for a
#: worker that is dead.
LAST_RESORT_S = 10.0
#: How long the log may be somebody else's, in seconds.
LOCK_S = 1.0


def stop_cancelled(consumer: Any) -> None:
    """A duty: stop the jobs of this worker that were cancelled longer than ``PLATFORM_CANCEL_GRACE_S`` ago."""
    running = {request.id: request for request in list(state.active_requests)}
    if not running:
        return
    latest = time.time() - settings().cancel_grace_s
    for job_id, asked_at in ledger().cancel_requests(list(running)).items():
        if asked_at <= latest:
            consumer.call_soon(_stop, consumer.pool, running[job_id])


def _stop(pool: Any, request: Any) -> None:
    if request not in state.active_requests:
        return
    try:
        # SIGKILL: it was asked, and had its time.
        request.terminate(pool, signal="KILL")
    except NotImplementedError:
        log.warning("job %s cannot be stopped by force in this worker's pool; use prefork", request.id)


def leave_in_time(worker_name: str) -> None:
    """The worker was told to stop: what has not ended after ``PLATFORM_SHUTDOWN_TIMEOUT_S`` goes back to its queue.

    Celery's own soft shutdown sleeps in the signal's handler, for the whole time, and takes up no outcome meanwhile.
    """
    thread = threading.Thread(target=_cut_short, name="shutdown-timeout", daemon=True)
    thread.start()
    log.info("%s stops within %s s", worker_name, settings().shutdown_timeout_s)


def _cut_short() -> None:
    time.sleep(settings().shutdown_timeout_s)
    _say(logging.WARNING, f"still running after the shutdown timeout; {len(state.active_requests)} jobs go back")
    os.kill(os.getpid(), signal.SIGQUIT)  # Celery's cold shutdown: stops them, and their messages are given back
    time.sleep(min(LAST_RESORT_S, settings().lease_ttl_s))
    _say(logging.ERROR, "the worker did not end by itself; its lease gives back what it held")
    os._exit(1)


def _say(level: int, text: str) -> None:
    """Log it, but wait for nobody: the main thread may have been stopped in the middle of a log's line, and hang there
    with the log's lock."""
    saying = threading.Thread(target=log.log, args=(level, text), daemon=True)
    saying.start()
    saying.join(LOCK_S)
    if saying.is_alive():
        os.write(2, f"{text}\n".encode())
