"""Stopping a running job: it was asked through its record; its worker is told to insist after the grace period."""

from __future__ import annotations

import logging

from kombu.exceptions import OperationalError

from platform.settings import settings
from tasks import app

log = logging.getLogger(__name__)


def stop_running(job_id: str) -> None:
    """Tell the workers; the one that runs the job stops it after ``PLATFORM_CANCEL_GRACE_S``."""
    try:
        app.control.broadcast("stop_job", arguments={"job_id": job_id, "grace_s": settings().cancel_grace_s})
    except OperationalError as exc:
        # The request stands in the record; the job still stops at its next progress report.
        log.warning("job %s was asked to stop, but its worker could not be told: %s", job_id, exc)
