from __future__ import annotations

import pickle

import pytest

from platform.accounts import Account, InvalidAccount, UnknownKey, UnknownUser, UserExists, WeakPassword, roles_within


@pytest.mark.parametrize(
    ("role", "included"),
    [("user", ["user"]), ("operator", ["user", "operator"]), ("admin", ["user", "operator", "admin"]), ("root", [])],
)
def test_a_role_includes_the_lesser_ones(role: str, included: list[str]) -> None:
    assert roles_within(role) == included


def test_an_account_has_the_roles_its_own_includes() -> None:
    account = Account("1", "a@x", "operator", "default")
    assert account.has_role("user")
    assert account.has_role("operator")
    assert not account.has_role("admin")
    assert not account.has_role("nonsense")


@pytest.mark.parametrize(
    "error",
    [InvalidAccount("role", "is odd"), UserExists("a@x"), UnknownUser("a@x"), UnknownKey("k"), WeakPassword(8, 9)],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_pickling_with_its_facts(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
