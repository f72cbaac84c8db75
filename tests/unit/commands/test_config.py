from __future__ import annotations

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


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_database_that_is_away_is_told_in_one_sentence(
    settings_env: Callable[..., None], options: tuple[str, ...]
) -> None:
    settings_env(database_url="postgresql://ann:geheim@127.0.0.1:1/name")
    done = run("migrate", *options)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "is not available; check PLATFORM_DATABASE_URL" in done.stderr
    assert "geheim" not in done.stderr
