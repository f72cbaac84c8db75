"""Seconds that workers spend on job records, summed in Valkey: a worker that imports this module keeps them.

A call more for each of a ledger's calls for many, of which one serves a whole batch.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from typing import Any

import tasks  # noqa: F401 - first: it makes `platform` complete
from bench.systems.work import valkey
from platform.jobs.ledger import Ledger

RECORDS_S = "bench:records_s"
TIMED = ("start_all", "complete_all", "submit_all")


def timed(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def measured(*args: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return call(*args, **options)
        finally:
            valkey().hincrbyfloat(RECORDS_S, call.__name__, time.perf_counter() - began)

    return measured


# Not in whoever imports this for the name of the sums.
for name in TIMED if "BENCH_VALKEY_URL" in os.environ else ():
    setattr(Ledger, name, timed(getattr(Ledger, name)))
