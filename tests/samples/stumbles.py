"""A worker whose processes die just before they begin a job, as often as the file of STUMBLES has characters."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from platform.jobs.ledger import Ledger
from tasks import app

LEFT = Path(os.environ["STUMBLES"])
_start_all = Ledger.start_all


def start_all(self: Ledger, jobs: Any) -> Any:
    if left := LEFT.read_text():
        LEFT.write_text(left[1:])
        os.kill(os.getpid(), signal.SIGKILL)
    return _start_all(self, jobs)


Ledger.start_all = start_all  # type: ignore[method-assign]


@app.task(name="stumbles.add")
def add(a: int, b: int) -> int:
    return a + b
