"""Installations: one for each test, or one that the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.supervision.installation import Installation


@pytest.fixture
def installation(data_dir: Path, tmp_path: Path) -> Iterator[Installation]:
    """Nothing runs yet."""
    made = Installation(data_dir, tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Running in the foreground for a whole module, with two workers; each test leaves it as it was."""
    made = Installation(tmp_path_factory.mktemp("d"), tmp_path_factory.mktemp("f"), workers=2)
    try:
        made.up()
        yield made
    finally:
        made.close()
