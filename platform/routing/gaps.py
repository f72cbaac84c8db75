"""A duty of workers: versions of documents that never came are given up, so that what waits for them goes on."""

from __future__ import annotations

from functools import partial

from platform.routing.matching import router
from platform.streams.delivery import streams

INTERVAL_S = 0.5


def give_up_overdue() -> int:
    """Go on with documents whose missing version is overdue; returns how many were. One command where none is."""
    return streams().overdue(partial(router().route, is_resync=True))
