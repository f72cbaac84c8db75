"""``/api/{Module}/{function}`` as a generator of requests (see ``web.client.exchange``)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from web.client.errors import APIError, WaitTimeout
from web.client.exchange import Flow, Request, path, preferences, read
from web.client.jobs import followed
from web.client.models import FunctionResult, Job


def call(module: str, function: str, arguments: Mapping[str, Any], timeout_s: float) -> Flow[FunctionResult]:
    """What the function returned; one that takes longer than the server waits is waited for here.

    Raises NotFoundError for an unknown function; APIError: 422 if the arguments do not fit, 500 if the function
    failed, 409 if its job was cancelled; WaitTimeout, whose ``job`` goes on.
    """
    deadline = time.monotonic() + timeout_s
    response = yield Request("POST", path("api", module, function), body=arguments, **preferences(timeout_s))
    if response.status_code == 200:
        return read(response, FunctionResult)
    job = yield from followed(read(response, Job), deadline)
    if not job.is_final:
        raise WaitTimeout(f"{module}.{function} has not returned within {timeout_s:g} s; its job goes on", job)
    return _outcome(job, f"{module}.{function}")


def _outcome(job: Job, name: str) -> FunctionResult:
    """As the server would have answered, had it waited so long."""
    if job.state == "completed":
        return FunctionResult(job.result, job.job_id)
    if job.state == "cancelled" or job.error is None:
        raise APIError(f"job {job.job_id} was cancelled", 409)
    raise APIError(f"{name} failed: {job.error.type}: {job.error.message}", 500)
