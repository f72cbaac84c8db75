from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from platform.accounts import (
    Account,
    InvalidAccount,
    UnknownUser,
    UserExists,
    WeakPassword,
    add_user,
    disable_user,
    find_account,
    list_users,
    passwords,
    verify_password,
)
from platform.accounts.tables import User
from platform.database import reading

from .conftest import PASSWORD


def stored_hash(account: Account) -> str:
    with reading() as session:
        return session.scalars(select(User.password_hash).where(User.id == account.id)).one()


def test_an_added_user_is_found_by_id(ann: Account) -> None:
    assert find_account(ann.id) == ann
    assert (ann.email, ann.role, ann.app_id) == ("ann@example.com", "operator", "default")


def test_an_unknown_id_is_nobody(database: str) -> None:
    assert find_account("00000000-0000-0000-0000-000000000000") is None


def test_the_tenant_comes_from_the_settings_unless_named(database: str, settings_env: Callable[..., None]) -> None:
    settings_env(app_id="shop")
    assert add_user("a@x", "user", PASSWORD).app_id == "shop"
    assert add_user("b@x", "user", PASSWORD, "other").app_id == "other"


def test_an_address_is_taken_whatever_its_case(ann: Account) -> None:
    with pytest.raises(UserExists, match=r"ann@example\.com already"):
        add_user(" ANN@Example.com ", "user", PASSWORD)
    assert [user.account for user in list_users()] == [ann]


@pytest.mark.parametrize("email", ["", "ann", "@x", "ann@", "a b@x", "a@x\x00", "a\n@x", "a@\ud800", "a@" + "x" * 253])
def test_what_is_no_address_is_refused(database: str, email: str) -> None:
    with pytest.raises(InvalidAccount, match="name@host"):
        add_user(email, "user", PASSWORD)
    assert verify_password(email, PASSWORD) is None


def test_an_unknown_role_is_refused_with_the_nearest(database: str) -> None:
    with pytest.raises(InvalidAccount, match="did you mean 'operator'"):
        add_user("a@x", "operater", PASSWORD)


def test_an_app_id_that_cannot_be_part_of_a_channel_is_refused(database: str) -> None:
    with pytest.raises(InvalidAccount, match="app id"):
        add_user("a@x", "user", PASSWORD, "a:b")


@pytest.mark.parametrize("password", ["", "1234567", "x" * 1025])
def test_a_password_outside_its_bounds_is_refused(database: str, password: str) -> None:
    with pytest.raises(WeakPassword, match="8 to 1024 characters"):
        add_user("a@x", "user", password)
    assert list_users() == []


def test_the_right_password_gives_the_account(ann: Account) -> None:
    assert verify_password("Ann@example.com", PASSWORD) == ann


@pytest.mark.parametrize("password", ["", "Correct horse", PASSWORD + " ", PASSWORD * 500])
def test_a_wrong_password_gives_nothing(ann: Account, password: str) -> None:
    assert verify_password(ann.email, password) is None


def test_an_accent_may_be_typed_composed_or_not(database: str) -> None:
    account = add_user("a@x", "user", "caf\u00e9 au lait")
    assert verify_password("a@x", "cafe\u0301 au lait") == account


def test_an_unknown_address_costs_one_verification_too(ann: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    verified = passwords._verified

    def noted(kept: str, given: bytes) -> bool:
        seen.append(kept)
        return verified(kept, given)

    monkeypatch.setattr(passwords, "_verified", noted)
    assert verify_password(ann.email, "wrong password") is None
    assert verify_password("nobody@example.com", "wrong password") is None
    known, unknown = (kept.split("$")[1:4] for kept in seen)
    assert known == unknown  # algorithm, version and costs


def test_a_hash_with_older_costs_is_replaced_at_sign_in(ann: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stored_hash(ann)
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=2, memory_cost=8, parallelism=1))
    assert verify_password(ann.email, "wrong password") is None
    assert stored_hash(ann) == before
    assert verify_password(ann.email, PASSWORD) == ann
    assert "t=2" in stored_hash(ann)
    assert verify_password(ann.email, PASSWORD) == ann


def test_a_password_is_not_stored_in_clear(ann: Account) -> None:
    assert stored_hash(ann).startswith("$argon2id$")
    assert PASSWORD not in stored_hash(ann)


def test_a_disabled_user_can_neither_sign_in_nor_be_found(ann: Account) -> None:
    assert disable_user("ANN@example.com") == ann
    assert verify_password(ann.email, PASSWORD) is None
    assert find_account(ann.id) is None


def test_disabling_again_keeps_the_first_time(ann: Account) -> None:
    disable_user(ann.email)
    first = list_users()[0].disabled_at
    disable_user(ann.email)
    assert list_users()[0].disabled_at == first is not None


def test_without_a_record_store_a_user_is_disabled_and_the_log_warns(
    ann: Account, caplog: pytest.LogCaptureFixture
) -> None:
    disable_user(ann.email)
    assert find_account(ann.id) is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"user:{ann.id}: done, but the sockets could not be told" in caplog.text


def test_disabling_nobody_is_an_error(database: str) -> None:
    with pytest.raises(UnknownUser, match=r"users add nobody@x"):
        disable_user("nobody@x")


def test_users_are_listed_by_address_with_aware_times(ann: Account) -> None:
    add_user("aaron@example.com", "user", PASSWORD)
    listed = list_users()
    assert [user.account.email for user in listed] == ["aaron@example.com", "ann@example.com"]
    assert datetime.now(UTC) - listed[0].created_at < timedelta(minutes=1)
    assert listed[0].created_at.utcoffset() == timedelta(0)
