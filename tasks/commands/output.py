"""What every command prints: tables for people, JSON for scripts, and failures as one sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import click

PIPE_WIDTH = 10_000  # off a terminal rich would cut lines at 80 characters


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their column names; ``None`` shows as a dash. Off a terminal no cell is cut or folded."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    # Cells hold what users typed: neither rich's markup nor a terminal's control characters may act on it.
    Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False).print(table)


def print_json(value: object) -> None:
    """Print a JSON document; times in UTC with milliseconds, as the HTTP API writes them."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


@contextmanager
def reporting_errors() -> Iterator[None]:
    """Turn a PlatformError into its sentence on stderr and exit code 1; a SettingsError into 2.

    Serves as ``with reporting_errors():`` and, nearest to the function, as ``@reporting_errors()``.
    """
    from platform.errors import PlatformError, SettingsError

    try:
        yield
    except PlatformError as exc:
        click.echo(f"Error: {exc}", err=True)
        raise click.exceptions.Exit(2 if isinstance(exc, SettingsError) else 1) from exc


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(value))


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no JSON form here; give a str, int, float, bool, list or dict")
