"""Being asked as ``bench.systems.driver`` is, by a program that has sockets to serve meanwhile."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any


def asked(meanwhile: Callable[[Any], None]) -> Iterator[dict[str, Any]]:
    """What is asked on standard input, until it ends."""
    while True:
        meanwhile(sys.stdin)
        line = sys.stdin.readline()
        if not line:
            return
        yield json.loads(line)
