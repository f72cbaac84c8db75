from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from platform import schema
from tasks.commands.config import config
from tests.databases import database as database  # noqa: PLC0414


def run(*args: str) -> Result:
    return CliRunner().invoke(config, args)


def test_a_dry_run_says_what_migrate_then_does(database: str) -> None:
    told, done, again = run("migrate", "--dry-run"), run("migrate"), run("migrate")
    assert (told.exit_code, done.exit_code, again.exit_code) == (0, 0, 0)
    assert told.output.splitlines()[1:] == done.output.splitlines()[1:]
    assert "0002" in told.output
    assert "task.status" in told.output
    assert again.output == "the schema is up to date\n"
    assert schema.pending() == []


def test_scripts_are_told_the_same_steps(database: str) -> None:
    told, done, again = run("migrate", "--dry-run", "--json"), run("migrate", "--json"), run("migrate", "--json")
    assert json.loads(told.stdout) == json.loads(done.stdout)
    assert json.loads(done.stdout)[0].keys() == {"kind", "name", "what"}
    assert json.loads(again.stdout) == []


def test_a_database_of_a_kind_there_is_no_driver_for_is_wrong_usage(
    settings_env: Callable[..., None],
) -> None:
    settings_env(database_url="mysql://ann:geheim@host/name")
    done = run("show")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: PLATFORM_DATABASE_URL: scheme 'mysql' is not one of sqlite://")
    assert "geheim" not in done.stderr


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--json",)])
def test_a_database_that_is_away_is_told_in_one_sentence(
    settings_env: Callable[..., None], options: tuple[str, ...]
) -> None:
    settings_env(database_url="postgresql://ann:geheim@127.0.0.1:1/name")
    done = run("migrate", *options)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "is not available; check PLATFORM_DATABASE_URL" in done.stderr
    assert "geheim" not in done.stderr
