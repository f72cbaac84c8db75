"""Remote control commands the platform adds to every worker."""

from __future__ import annotations

import logging
from typing import Any

from celery.worker import state as worker_state
from celery.worker.control import control_command

log = logging.getLogger(__name__)


@control_command(args=[("job_id", str), ("grace_s", float)], signature="<job_id> [grace_s]")
def stop_job(state: Any, job_id: str, grace_s: float = 0.0) -> dict[str, str]:
    """Stop a job this worker is running once its grace period is over; other workers ignore it."""
    if _running(job_id) is None:
        return {"ok": "not here"}
    state.consumer.timer.call_after(max(0.0, grace_s), _stop, (state.consumer.pool, job_id))
    return {"ok": f"stopping {job_id} in {grace_s} s"}


def _running(job_id: str) -> Any:
    return next((request for request in list(worker_state.active_requests) if request.id == job_id), None)


def _stop(pool: Any, job_id: str) -> None:
    request = _running(job_id)
    if request is None:
        return
    try:
        # SIGKILL: it was asked, and had its time.
        request.terminate(pool, signal="KILL")
    except NotImplementedError:
        log.warning("job %s cannot be stopped by force in this worker's pool; use prefork", job_id)
