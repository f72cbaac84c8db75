from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from sqlalchemy import inspect, text, update

from platform.accounts import (
    Account,
    RecentAnswers,
    UnknownKey,
    UnknownUser,
    add_key,
    add_user,
    disable_user,
    find_by_key,
    keys,
    list_keys,
    public_id_of,
    revoke_key,
)
from platform.accounts.tables import ApiKey
from platform.database import DatabaseUnavailable, engine, reading, writing

from .conftest import PASSWORD


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of the recent answers; they start empty."""
    now = [0.0]
    recent: RecentAnswers[str, Account | None] = RecentAnswers(keys.RECENT_TTL_S, 100, clock=lambda: now[0])
    monkeypatch.setattr(keys, "_recent", recent)
    return now


def set_last_used(when: datetime) -> None:
    with writing() as session:
        session.execute(update(ApiKey).values(last_used_at=when))


def test_a_key_has_its_form_and_stands_for_its_owner(ann: Account) -> None:
    key = add_key("Ann@Example.com", "laptop")
    assert re.fullmatch(r"pk_[a-z0-9]{10}_[A-Za-z0-9_-]{43}", key)
    assert find_by_key(key) == ann
    assert [(k.public_id, k.email, k.name) for k in list_keys()] == [(public_id_of(key), ann.email, "laptop")]


def test_no_column_of_any_table_holds_a_key_in_clear(ann: Account) -> None:
    key = add_key(ann.email, "laptop")
    stored = ""
    with reading() as session:
        for table in inspect(engine()).get_table_names():
            stored += repr(session.execute(text(f"SELECT * FROM {table}")).all())
    assert sha256(key.encode()).hexdigest() in stored
    assert key.split("_", 2)[2] not in stored


def test_a_key_with_one_character_changed_is_nobodys(ann: Account) -> None:
    key = add_key(ann.email)
    changed = key[:-1] + ("a" if key[-1] != "a" else "b")
    assert find_by_key(changed) is None
    assert find_by_key(key) == ann


@pytest.mark.parametrize("key", ["", "pk_", "pk_abc_def", "pk_\u00e9\u00e9", "pk_" + "a" * 10 + "_" + "a" * 44, "\x00"])
def test_what_has_not_the_form_of_a_key_costs_no_query(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "reading", None)
    assert find_by_key(key) is None


def test_a_key_of_the_right_form_that_was_never_made_is_nobodys(database: str) -> None:
    assert find_by_key("pk_" + "a" * 10 + "_" + "a" * 43) is None


def test_a_revoked_key_stops_at_once_here_and_within_five_seconds_elsewhere(ann: Account, now: list[float]) -> None:
    key = add_key(ann.email)
    assert find_by_key(key) == ann
    with writing() as session:  # as another process would
        session.execute(update(ApiKey).values(revoked_at=datetime.now(UTC)))
    now[0] = 4.9
    assert find_by_key(key) == ann
    now[0] = 5.0
    assert find_by_key(key) is None

    second = add_key(ann.email)
    assert find_by_key(second) == ann
    revoke_key(public_id_of(second))
    assert find_by_key(second) is None


def test_a_disabled_users_key_stops_within_five_seconds(ann: Account, now: list[float]) -> None:
    key = add_key(ann.email)
    assert find_by_key(key) == ann
    disable_user(ann.email)
    now[0] = 5.0
    assert find_by_key(key) is None


def test_asking_again_within_five_seconds_costs_no_query(ann: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    key = add_key(ann.email)
    wrong = "pk_" + "a" * 10 + "_" + "a" * 43
    assert (find_by_key(key), find_by_key(wrong)) == (ann, None)
    monkeypatch.setattr(keys, "reading", None)
    assert (find_by_key(key), find_by_key(wrong)) == (ann, None)


def test_revoking_again_keeps_the_first_time(ann: Account) -> None:
    public_id = public_id_of(add_key(ann.email))
    revoke_key(public_id)
    first = list_keys()[0].revoked_at
    revoke_key(public_id)
    assert list_keys()[0].revoked_at == first is not None


def test_without_a_record_store_a_key_is_revoked_and_the_log_warns(
    ann: Account, caplog: pytest.LogCaptureFixture
) -> None:
    key = add_key(ann.email)
    revoke_key(public_id_of(key))
    assert find_by_key(key) is None
    assert f"key:{public_id_of(key)}: done, but the sockets could not be told" in caplog.text


def test_revoking_an_unknown_key_is_an_error(database: str) -> None:
    with pytest.raises(UnknownKey, match="keys ls"):
        revoke_key("nope")


def test_a_use_is_noted_at_most_once_a_minute(ann: Account, now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    key = add_key(ann.email)
    assert list_keys()[0].last_used_at is None
    find_by_key(key)
    first = list_keys()[0].last_used_at
    assert first is not None
    assert datetime.now(UTC) - first < timedelta(minutes=1)

    recently = datetime.now(UTC) - timedelta(seconds=50)
    set_last_used(recently)
    now[0] += 5
    with monkeypatch.context() as patched:
        patched.setattr(keys, "writing", None)  # it does not even ask for the write lock
        assert find_by_key(key) == ann
    assert list_keys()[0].last_used_at == recently

    long_ago = datetime.now(UTC) - timedelta(seconds=61)
    set_last_used(long_ago)
    now[0] += 5
    find_by_key(key)
    assert (list_keys()[0].last_used_at or long_ago) > recently


def test_a_key_works_while_its_use_cannot_be_noted(ann: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    key = add_key(ann.email)

    def away() -> None:
        raise DatabaseUnavailable("sqlite:///test.db")

    monkeypatch.setattr(keys, "writing", away)
    assert find_by_key(key) == ann
    assert list_keys()[0].last_used_at is None


def test_keys_are_listed_by_owner_or_all_oldest_first(ann: Account) -> None:
    bob = add_user("bob@example.com", "user", PASSWORD)
    made = [public_id_of(add_key(email)) for email in (ann.email, bob.email, ann.email)]
    assert [key.public_id for key in list_keys()] == made
    assert [key.public_id for key in list_keys("ANN@example.com")] == [made[0], made[2]]
    assert list_keys(bob.email)[0].created_at.utcoffset() == timedelta(0)


def test_only_an_active_user_gets_a_key(ann: Account) -> None:
    with pytest.raises(UnknownUser):
        add_key("nobody@x")
    with pytest.raises(UnknownUser):
        list_keys("nobody@x")
    disable_user(ann.email)
    with pytest.raises(UnknownUser):
        add_key(ann.email)
