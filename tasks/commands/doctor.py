"""``celery -A platform doctor``: an audit of the running configuration, each finding with its fix."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tasks.commands.output import PIPE_WIDTH, json_option, print_json, reporting_errors

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from platform.audit.examination import Report
    from platform.audit.finding import Finding

STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
MARGIN = 9


@click.command()
@json_option("Print a JSON list of findings.")
@click.option("--strict", is_flag=True, help="Exit 1 for warnings too.")
@click.option("--quiet", is_flag=True, help="Leave out notes.")
@reporting_errors()
def doctor(as_json: bool, strict: bool, quiet: bool) -> None:
    """Look for dangerous settings, and for trouble that is there already; each with its fix.

    Asks the servers, the running workers and this machine; takes a few seconds. Exit code 0 with nothing worse
    than a warning, else 1.
    """
    from platform.audit.examination import examine
    from platform.audit.subject import Subject
    from platform.celery import app
    from platform.settings import load, settings

    report = examine(Subject(settings(), app, load().origins))
    shown = [finding for finding in report.findings if not quiet or finding.severity != "note"]
    if as_json:
        print_json([finding.as_dict() for finding in shown])
    else:
        _print(report, shown)
    if not report.is_healthy(strict=strict):
        raise click.exceptions.Exit(1)


def _print(report: Report, shown: list[Finding]) -> None:
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPE_WIDTH
    console = Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)
    for finding in shown:
        _print_one(console, finding)
    console.print(_summary(report))


def _print_one(console: Console, finding: Finding) -> None:
    from rich.padding import Padding
    from rich.text import Text

    style = STYLES[finding.severity]
    label = Text(f"{finding.severity.upper():<{MARGIN}}", style)
    title = Text.assemble((_plain(_capital(finding.problem)), "bold"), (f"  {finding.code}", "dim"))
    console.print(_hanging(label, title))
    console.print(Padding(Text(_plain(_sentence(finding.why))), (0, 0, 0, MARGIN), expand=False))
    console.print(Padding(Text.assemble(("Fix: ", "green"), _plain(finding.fix)), (0, 0, 0, MARGIN), expand=False))
    console.print()


def _hanging(label: Text, text: Text) -> Table:
    from rich.table import Table

    grid = Table.grid(padding=0)
    grid.add_column(width=MARGIN, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(label, text)
    return grid


def _summary(report: Report) -> str:
    counts = [_counted(report.count(severity), severity) for severity in _severities()]
    what = ", ".join(count for count in counts if count) or "nothing found"
    return f"{what}; {report.checks} checks in {report.took_s:.1f} s"


def _severities() -> list:
    from platform.audit.finding import Severity

    return list(Severity)


def _counted(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}" if number else ""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _capital(text: str) -> str:
    """A word begins with a capital, the name of a key or task stays as it is written."""
    return f"{text[:1].upper()}{text[1:]}" if text.partition(" ")[0].isalpha() else text


def _plain(text: str) -> str:
    """On one line, without control characters: problems quote names and values that users wrote."""
    return "".join(char if char.isprintable() else " " for char in text)
