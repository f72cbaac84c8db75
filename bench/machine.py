"""The machine a result stems from, as far as it explains numbers: nothing that would name it."""

from __future__ import annotations

import os

import platform


def describe() -> dict[str, str | int | float]:
    """``load`` is the average of the last minute: above zero, others were at work before we began."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }
