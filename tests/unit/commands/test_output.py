from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from platform.errors import PlatformError, SettingsError
from tasks.commands.output import print_json, print_table, reporting_errors

# What a command module may bring with it: itself, click, and what Celery imports anyway.
LIGHT = """
import sys
import celery.bin.celery
before = set(sys.modules)
import {module}
heavy = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(*sorted(heavy - {{"tasks", "platform", "click"}} - set(sys.stdlib_module_names)))
"""


def lines(out: str) -> list[str]:
    return [line.rstrip() for line in out.splitlines() if line.strip()]


def test_a_table_shows_its_rows_under_their_columns(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["Name", "Seen"], [["ann", None], ["bob", datetime(2026, 11, 22, 10, 0, 7, 999, tzinfo=UTC)]])
    head, _, first, second = lines(capsys.readouterr().out)
    assert head.split() == ["Name", "Seen"]
    assert first.split() == ["ann", "-"]
    assert second.split() == ["bob", "2026-11-22", "10:00:07Z"]


def test_off_a_terminal_no_cell_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["A", "B"], [["a" * 300, "b" * 300]])
    assert f"{'a' * 300}   {'b' * 300}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("columns", "head", "row"),
    [
        (100, "Id Task Queue Error", f"{'i' * 36} shop.charge offload {'e' * 30}"),
        (80, "Id Task Queue Error", f"{'i' * 36} shop.charge offload {'e' * 14}…"),
        (75, "Id Task Error", f"{'i' * 36} shop.charge {'e' * 19}…"),
        (60, "Id Task", f"{'i' * 36} shop.charge"),
    ],
)
def test_a_narrow_terminal_does_without_what_can_be_spared(
    columns: int, head: str, row: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    cells = ["i" * 36, "shop.charge", "offload", "e" * 30]
    print_table(["Id", "Task", "Queue", "Error"], [cells], spare=["Queue", "Error"], elastic="Error")
    first, _, second = lines(click.unstyle(capsys.readouterr().out))
    assert (first.split(), second.split()) == (head.split(), row.split())


@pytest.mark.parametrize(
    ("typed", "shown"),
    [("[red]x[/red]", "[red]x[/red]"), (":smile:", ":smile:"), ("a\x1b[31mb", "a\ufffd[31mb"), ("a\nb", "a\ufffdb")],
)
def test_what_users_typed_acts_on_neither_table_nor_terminal(
    typed: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_table(["Name"], [[typed]])
    assert lines(capsys.readouterr().out)[-1].strip() == shown


def test_json_has_times_in_utc_with_milliseconds(capsys: pytest.CaptureFixture[str]) -> None:
    at = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    print_json([{"at": at, "name": "Zoë", "none": None}])
    out = capsys.readouterr().out
    assert json.loads(out) == [{"at": "2026-11-22T10:00:00.123Z", "name": "Zoë", "none": None}]
    assert "Zoë" in out


def test_what_has_no_json_form_is_an_error() -> None:
    with pytest.raises(TypeError, match="Path has no JSON form"):
        print_json(Path("x"))


@pytest.mark.parametrize(("error", "code"), [(PlatformError("do this"), 1), (SettingsError("do that"), 2)])
def test_a_platform_error_is_one_sentence_on_stderr_and_an_exit_code(error: PlatformError, code: int) -> None:
    @click.command()
    @reporting_errors()
    def command() -> None:
        raise error

    done = CliRunner().invoke(command)
    assert (done.exit_code, done.stdout, done.stderr) == (code, "", f"Error: {error}\n")


def test_any_other_error_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), reporting_errors():
        _ = 1 / 0


@pytest.mark.parametrize("module", ["tasks.commands.users", "tasks.commands.keys", "tasks.commands.output"])
def test_a_command_module_imports_nothing_heavy(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIGHT.format(module=module)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.split(), done.stderr) == ([], "")
