"""The process from which events come, through Redis: ``python -m bench.systems.sockets_publisher MODULE``.

It is asked and answers as ``bench.systems.driver`` is. Sizes are of the JSON that reaches the
client, with what a server puts around the text that is published, ``AROUND_BYTES`` of it.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from importlib.metadata import version
from typing import Any

from bench.systems.dialects import ROOM
from bench.systems.driver import answer_all


class Publisher:
    """Its public methods are what ``do`` may name."""

    def __init__(self, system: Any):
        self._system = system
        self._around = getattr(system, "AROUND_BYTES", 0)

    def publish(self, jobs: int) -> dict[str, int]:
        """Publish so many events of 260 bytes, one after another; when that began, in nanoseconds."""
        return self._publish(jobs, 260)

    def publish_large(self, jobs: int) -> dict[str, int]:
        """The same, of 64 kB."""
        return self._publish(jobs, 64_000)

    def _publish(self, jobs: int, size: int) -> dict[str, int]:
        text = event(size - self._around)
        began = time.monotonic_ns()
        for _ in range(jobs):
            self._system.publish(ROOM, text)
        return {"began": began}


def event(size: int) -> str:
    """JSON of so many bytes."""
    bare = json.dumps({"text": ""}, separators=(",", ":"))
    return json.dumps({"text": "x" * (size - len(bare))}, separators=(",", ":"))


if __name__ == "__main__":
    module = import_module(sys.argv[1])
    answer_all(Publisher(module), {name: version(name) for name in module.DISTRIBUTIONS})
