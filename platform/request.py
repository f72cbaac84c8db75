"""The worker's side of a job under way: what Celery's own does, but for a task that ran out of memory."""

from __future__ import annotations

from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery.worker.request import Request as StockRequest


class OutOfMemory(Exception):
    """A task raised MemoryError; its own process goes on, and so does the worker."""


class Request(StockRequest):
    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Celery raises a task's MemoryError in the worker's main process, which ends with everything it holds."""
        exc = exc_info.exception
        if isinstance(exc, ExceptionWithTraceback):
            exc = exc.exc
        if isinstance(exc, MemoryError):
            exc_info.exception = OutOfMemory(str(exc))
        return super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)
