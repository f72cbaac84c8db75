from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from platform.accounts import Account, add_user, passwords
from tests.databases import database as database  # noqa: PLC0414

PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def _cheap_hashes(no_record_store: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real algorithm with its least costs: a millisecond instead of 200."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def ann(database: str) -> Account:
    return add_user("ann@example.com", "operator", PASSWORD)
