from __future__ import annotations

import pytest

from platform.documents import model as registry
from tests.databases import database as database  # noqa: PLC0414


@pytest.fixture(autouse=True)
def declared_here_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test declares is forgotten after it; what is declared already stays."""
    monkeypatch.setattr(registry, "_models", dict(registry._models))
