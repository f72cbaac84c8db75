"""The time by which delayed jobs become due: the real one, unless a test moves it.

A test that waits for hours starts its programs with ``TEST_CLOCK_FILE`` in their environment, the path of a file
that says how many seconds they are ahead; what it writes there counts at once. Without that variable, without the
file, and in production the time is the real one.
"""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path

from platform.settings import settings

VARIABLE = "TEST_CLOCK_FILE"


def now_ms() -> int:
    """Milliseconds since 1970."""
    file = _file()
    return time.time_ns() // 1_000_000 + (0 if file is None else _ahead_ms(file))


@cache
def _file() -> Path | None:
    path = os.environ.get(VARIABLE)
    return Path(path) if path and not settings().is_production else None


def _ahead_ms(file: Path) -> int:
    try:
        return int(float(file.read_text()) * 1000)
    except FileNotFoundError:
        return 0
