"""An empty database per test: a SQLite file, and a schema of PostgreSQL if ``TEST_DATABASE_URL`` names a server.

Folders that want it say ``from tests.databases import database`` in their conftest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from platform.database import dispose

SERVER = os.environ.get("TEST_DATABASE_URL", "")
KINDS = ["sqlite", "postgresql"] if SERVER else ["sqlite"]


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, data_dir: Path, settings_env: Callable[..., None]) -> Iterator[str]:
    """The address of an empty database, which this process's own; every test runs once for each kind."""
    with empty(request.param, data_dir) as address:
        settings_env(database_url=address)
        yield address
        dispose()


@contextmanager
def empty(kind: str, folder: Path) -> Iterator[str]:
    """The address of a new database, gone afterwards; ``kind`` is one of KINDS, a SQLite file is in the folder."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'test.db'}"
        return
    schema = f"test_{uuid4().hex}"
    with psycopg.connect(SERVER, autocommit=True) as server:
        server.execute(f"CREATE SCHEMA {schema}")
        yield f"{SERVER}{'&' if '?' in SERVER else '?'}options=-csearch_path%3D{schema}"
        server.execute(f"DROP SCHEMA {schema} CASCADE")
