"""What the demonstration shows: live on a terminal, a line for each thing done elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from web.demo.act import Outcome, Report, duration, percentile

PIPE_WIDTH = 10_000  # off a terminal nothing is cut or folded
LABEL_WIDTH = 18


class Screen:
    """Writes to standard output. Names of files are printed as they are: they are no markup."""

    def __init__(self) -> None:
        width = None if sys.stdout.isatty() else PIPE_WIDTH
        self.console = Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)

    def say(self, words: str = "", style: str = "") -> None:
        self.console.print(Text(_printable(words), style), soft_wrap=True)

    def fact(self, label: str, value: str) -> None:
        self._labelled(Text(f"  {label:<{LABEL_WIDTH}}", "bold"), Text(_printable(value)))

    @contextmanager
    def busy(self, words: str) -> Iterator[None]:
        """Something that takes a while and reports nothing."""
        if not self.console.is_terminal:
            yield
            return
        with self.console.status(Text(words), spinner="dots"):
            yield

    @contextmanager
    def acting(self, title: str) -> Iterator[Report]:
        """A bar that follows what is reported, gone when the act is over."""
        if not self.console.is_terminal:
            yield lambda done, total, message: None
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(30), TextColumn("{task.fields[what]}"))
        with Progress(*columns, console=self.console, transient=True) as progress:
            bar = progress.add_task(f"{title:<{LABEL_WIDTH}}", total=None, what="")

            def report(done: float, total: float, message: str) -> None:
                what = f"{done:.0f} of {total:.0f}  {message}"
                progress.update(bar, completed=done, total=total, what=_printable(what))

            yield report

    def acted(self, title: str, outcome: Outcome) -> None:
        words = Text.assemble(_printable(outcome.headline), (f"  {duration(outcome.took_s)}", "dim"))
        self._labelled(Text.assemble(("✓ ", "green"), (f"{title:<{LABEL_WIDTH}}", "bold")), words)

    def _labelled(self, label: Text, words: Text) -> None:
        """A label and its words beside it; on a narrow terminal they go on under themselves, between words."""
        if not self.console.is_terminal:
            self.console.print(Text.assemble(label, words), soft_wrap=True)
            return
        grid = Table.grid(padding=0)
        grid.add_column(no_wrap=True)
        grid.add_column()
        grid.add_row(label, words)
        self.console.print(grid)

    def table(self, played: Sequence[tuple[str, Outcome]]) -> None:
        table = Table("", "Done", "In", "Rate", "p50", "p95", box=box.SIMPLE_HEAD, pad_edge=False)
        for column in table.columns[1:]:
            column.justify = "right"
        for title, outcome in played:
            table.add_row(title, *_cells(outcome))
        self.console.print(table)


def _cells(outcome: Outcome) -> list[str]:
    rate = f"{outcome.count / outcome.took_s:,.1f}/s"
    quantiles = [duration(percentile(outcome.times_s, share)) if outcome.times_s else "–" for share in (0.5, 0.95)]
    return [f"{outcome.count:,}", duration(outcome.took_s), rate, *quantiles]


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
