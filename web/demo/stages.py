"""The demonstration's own stage: what a module named in ``PLATFORM_IMPORTS`` may have."""

from __future__ import annotations

from platform.documents.change import Change
from tasks import content
from tasks.files import allowed
from tasks.pipeline import stage


@stage("measure", before="write", max_retries=0)
def measure(change: Change) -> Change:
    """Look into the file that a new document of the type ``file`` is about, before it is stored."""
    if change.type == "file" and change.act == "create" and change.data is not None:
        counted = content.count(allowed(change.data["path"]))
        found = {name: counted[name] for name in ("language", "lines", "words")}
        change.data |= {**found, "size_bytes": counted["bytes"], "status": "measured"}
    return change
