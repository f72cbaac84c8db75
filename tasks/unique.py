"""``from tasks.unique import Unique``: the rule of a unique task, ``@app.task(unique=Unique(...))``."""

from __future__ import annotations

from platform.unique import BadUnique, Unique

__all__ = ["BadUnique", "Unique"]
