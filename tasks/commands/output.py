"""What every command prints: tables for people, JSON for scripts, and failures as one sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

PIPE_WIDTH = 10_000  # off a terminal rich would cut lines at 80 characters
GAP, EDGES = 3, 2  # what rich puts between columns, and around all of them
MIN_CELL = 12  # less of a text says nothing

Command = TypeVar("Command", bound=Callable[..., Any])


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], spare: Sequence[str] = (), elastic: str = ""
) -> None:
    """Print rows under their column names; ``None`` shows as a dash. Off a terminal no cell is cut or folded.

    Where a terminal is too narrow the ``spare`` columns go, the first named first, until the rest fits; the ``elastic``
    one, which is the last, is cut to what the others leave. Only what does not fit even so is folded.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    width = None if sys.stdout.isatty() else PIPE_WIDTH
    # Cells hold what users typed: neither rich's markup nor a terminal's control characters may act on it.
    console = Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)
    cells = [[_cell(value) for value in row] for row in rows]
    shown = _fitting(columns, cells, spare, elastic, console.width)
    table = Table(*(columns[at] for at in shown), box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    if columns[shown[-1]] == elastic and _width(columns, cells, shown) > console.width:
        table.columns[-1].overflow, table.columns[-1].no_wrap = "ellipsis", True
        table.columns[-1].max_width = max(MIN_CELL, console.width - _width(columns, cells, shown[:-1]) - GAP)
    for row in cells:
        table.add_row(*(row[at] for at in shown))
    console.print(table)


def _fitting(
    columns: Sequence[str], cells: list[list[str]], spare: Sequence[str], elastic: str, width: int
) -> list[int]:
    """The columns to show, by their place."""
    shown, going = list(range(len(columns))), [columns.index(name) for name in spare if name in columns]
    while going and _least(columns, cells, shown, elastic) > width:
        shown.remove(going.pop(0))
    return shown


def _least(columns: Sequence[str], cells: list[list[str]], shown: list[int], elastic: str) -> int:
    if columns[shown[-1]] != elastic:
        return _width(columns, cells, shown)
    return _width(columns, cells, shown[:-1]) + GAP + min(MIN_CELL, _widest(columns, cells, shown[-1]))


def _width(columns: Sequence[str], cells: list[list[str]], shown: Sequence[int]) -> int:
    return sum(_widest(columns, cells, at) for at in shown) + GAP * (len(shown) - 1) + EDGES


def _widest(columns: Sequence[str], cells: list[list[str]], at: int) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, [columns[at], *(row[at] for row in cells)]))


def json_option(what: str) -> Callable[[Command], Command]:
    """``--json``, which the command gets as ``as_json``; ``what`` is its help."""
    return click.option("--json", "as_json", is_flag=True, help=what)


def json_anyway(command: Command) -> Command:
    """``--json`` of a command that prints nothing else, so that scripts may give it to every one."""
    return click.option("--json", is_flag=True, expose_value=False, help="Print JSON, as it does without.")(command)


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
    return printable(str(value))


def printable(text: str) -> str:
    """The text with what a terminal would act on replaced; what users typed and programs wrote goes through this."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no JSON form here; give a str, int, float, bool, list or dict")
