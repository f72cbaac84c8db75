from __future__ import annotations

import json
from collections.abc import Callable

import click
import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner, Result

from platform.accounts import add_user, find_account, list_users, passwords, verify_password
from tasks.commands import users as module
from tasks.commands.users import users
from tests.databases import database as database  # noqa: PLC0414

PASSWORD = "correct horse"
EMAIL = "ann@example.com"


@pytest.fixture(autouse=True)
def _cheap_hashes(database: str, no_record_store: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def run(*args: str, stdin: str = "") -> Result:
    return CliRunner().invoke(users, args, input=stdin)


@pytest.mark.parametrize("stdin", [PASSWORD, PASSWORD + "\n", PASSWORD + "\r\n", PASSWORD + "\nsecond line\n"])
def test_the_password_is_the_first_line_of_stdin(stdin: str) -> None:
    done = run("add", EMAIL, "--role", "operator", "--password-stdin", stdin=stdin)
    assert (done.exit_code, done.stderr) == (0, "")
    account = verify_password(EMAIL, PASSWORD)
    assert account is not None
    assert account.role == "operator"


def test_the_least_role_is_the_default_and_the_tenant_can_be_named() -> None:
    run("add", EMAIL, "--app-id", "shop", "--password-stdin", stdin=PASSWORD)
    account = list_users()[0].account
    assert (account.role, account.app_id) == ("user", "shop")


def test_on_a_terminal_the_password_is_asked_for_twice_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_on_a_terminal", lambda: True)
    done = run("add", EMAIL, stdin=f"{PASSWORD}\nother password\n{PASSWORD}\n{PASSWORD}\n")
    assert done.exit_code == 0
    assert done.stderr.count("Repeat for confirmation") == 2
    assert PASSWORD not in done.output
    assert verify_password(EMAIL, PASSWORD) is not None


def test_off_a_terminal_the_usage_says_how_to_give_the_password() -> None:
    done = run("add", EMAIL)
    assert done.exit_code == 2
    assert "--password-stdin" in done.stderr


@pytest.mark.parametrize(
    ("args", "stdin", "says"),
    [
        ((EMAIL,), "short", "8 to 1024 characters"),
        (("nonsense",), PASSWORD, "name@host"),
        ((EMAIL, "--app-id", "a b"), PASSWORD, "app id"),
    ],
)
def test_a_user_that_breaks_a_rule_is_not_added(args: tuple[str, ...], stdin: str, says: str) -> None:
    done = run("add", *args, "--password-stdin", stdin=stdin)
    assert (done.exit_code, done.stdout) == (1, "")
    assert says in done.stderr
    assert list_users() == []


def test_an_unknown_role_is_wrong_usage() -> None:
    assert run("add", EMAIL, "--role", "root", "--password-stdin", stdin=PASSWORD).exit_code == 2


def test_the_same_address_twice_fails() -> None:
    add_user(EMAIL, "user", PASSWORD)
    done = run("add", EMAIL, "--password-stdin", stdin=PASSWORD)
    assert done.exit_code == 1
    assert "already" in done.stderr


def test_the_list_for_scripts_has_every_field() -> None:
    account = add_user(EMAIL, "admin", PASSWORD)
    run("disable", EMAIL)
    add_user("bob@example.com", "user", PASSWORD)
    ann, bob = json.loads(run("ls", "--json").stdout)
    assert {name: ann[name] for name in ("id", "email", "role", "app_id")} == vars(account)
    assert ann["disabled_at"].endswith("Z")
    assert bob["disabled_at"] is None
    assert set(bob) == {"id", "email", "role", "app_id", "created_at", "disabled_at"}


def test_the_list_for_people_is_a_table() -> None:
    add_user(EMAIL, "admin", PASSWORD)
    out = run("ls").stdout
    assert out.index("E-mail") < out.index(EMAIL)


def test_an_empty_list_is_a_list() -> None:
    assert json.loads(run("ls", "--json").stdout) == []


def test_disabling_ends_the_account() -> None:
    account = add_user(EMAIL, "admin", PASSWORD)
    assert run("disable", "ANN@example.com").exit_code == 0
    assert find_account(account.id) is None


def test_a_user_is_printed_for_scripts_as_the_list_has_it() -> None:
    added = json.loads(run("add", "ANN@example.com", "--password-stdin", "--json", stdin=PASSWORD).stdout)
    assert (added["email"], added["disabled_at"], [added]) == (EMAIL, None, json.loads(run("ls", "--json").stdout))
    disabled = json.loads(run("disable", EMAIL, "--json").stdout)
    assert (disabled["disabled_at"] is None, [disabled]) == (False, json.loads(run("ls", "--json").stdout))


def test_disabling_nobody_fails() -> None:
    done = run("disable", "nobody@x")
    assert done.exit_code == 1
    assert "users add nobody@x" in done.stderr


def test_a_setting_that_cannot_work_is_exit_code_two(settings_env: Callable[..., None]) -> None:
    settings_env(database_url="mysql://host/name")
    done = run("ls")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)


def test_the_group_and_its_commands_explain_themselves() -> None:
    for command in (users, *users.commands.values()):
        assert isinstance(command, click.Command)
        assert command.help
