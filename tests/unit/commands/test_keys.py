from __future__ import annotations

import json

import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner, Result

from platform.accounts import add_user, find_by_key, passwords
from tasks.commands.keys import keys
from tests.databases import database as database  # noqa: PLC0414

EMAIL = "ann@example.com"


@pytest.fixture(autouse=True)
def _a_user(database: str, no_record_store: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    add_user(EMAIL, "user", "correct horse")


def run(*args: str) -> Result:
    return CliRunner().invoke(keys, args)


def test_quiet_prints_the_key_and_nothing_else() -> None:
    done = run("add", EMAIL, "--quiet")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    account = find_by_key(done.stdout.strip())
    assert account is not None
    assert account.email == EMAIL


def test_otherwise_the_warning_goes_to_stderr() -> None:
    done = run("add", EMAIL, "--name", "laptop")
    assert "cannot be shown again" in done.stderr
    assert find_by_key(done.stdout.strip()) is not None


def test_nobody_gets_no_key() -> None:
    done = run("add", "nobody@x")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "users add nobody@x" in done.stderr


def test_the_list_for_scripts_never_has_the_key_itself() -> None:
    key = run("add", EMAIL, "--name", "laptop", "--quiet").stdout.strip()
    out = run("ls", "--json").stdout
    (listed,) = json.loads(out)
    assert set(listed) == {"public_id", "email", "name", "created_at", "last_used_at", "revoked_at"}
    assert (listed["public_id"], listed["email"], listed["name"]) == (key.split("_")[1], EMAIL, "laptop")
    assert key.split("_", 2)[2] not in out


def test_the_list_can_be_of_one_user() -> None:
    add_user("bob@example.com", "user", "correct horse")
    run("add", EMAIL)
    assert len(json.loads(run("ls", EMAIL, "--json").stdout)) == 1
    assert json.loads(run("ls", "bob@example.com", "--json").stdout) == []
    assert run("ls", "nobody@x").exit_code == 1


def test_the_list_for_people_is_a_table() -> None:
    run("add", EMAIL, "--name", "laptop")
    out = run("ls").stdout
    assert out.index("Public id") < out.index("laptop")


def test_a_revoked_key_is_listed_and_holds_no_longer() -> None:
    key = run("add", EMAIL, "--quiet").stdout.strip()
    assert run("revoke", key.split("_")[1]).exit_code == 0
    assert find_by_key(key) is None
    assert json.loads(run("ls", "--json").stdout)[0]["revoked_at"].endswith("Z")


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_for_scripts_the_key_comes_with_its_record(quiet: tuple[str, ...]) -> None:
    done = run("add", EMAIL, "--name", "laptop", "--json", *quiet)
    assert (done.exit_code, done.stderr) == (0, "")
    record = json.loads(done.stdout)
    key = record.pop("key")
    assert [record] == json.loads(run("ls", "--json").stdout)
    assert find_by_key(key) is not None
    revoked = json.loads(run("revoke", record["public_id"], "--json").stdout)
    assert [revoked] == json.loads(run("ls", "--json").stdout)
    assert revoked["revoked_at"].endswith("Z")


def test_revoking_what_is_not_there_fails() -> None:
    done = run("revoke", "nope")
    assert (done.exit_code, run("revoke", "nope", "--json").stdout) == (1, "")
    assert "keys ls" in done.stderr
