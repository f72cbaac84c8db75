"""``celery -A platform batch``: write, list, start and stop workers that poll."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tasks.commands.output import json_option, print_json, print_table, reporting_errors

COLUMNS = ["Worker", "State", "Slot", "Host", "Pid", "Runs as", "Since", "Done", "Errors", "Last run", "Fence"]
#: What a narrow terminal does without, the first named first.
SPARE = ["Fence", "Last run", "Since", "Runs as", "Errors"]


@click.group()
def batch() -> None:
    """Write, list, start and stop workers that poll (BatchWorker)."""


@batch.command()
@click.argument("name")
@reporting_errors()
def new(name: str) -> None:
    """Write a worker, NAME.py, and its test, test_NAME.py, into the current folder."""
    from tasks import scaffold

    for path in scaffold.write(name, Path.cwd()):
        click.echo(f"wrote {path.name}")
    click.echo(f"try `python -m pytest test_{name}.py`, then `python -m {name} --once`")


@batch.command("ls")
@json_option("Print a JSON list.")
@reporting_errors()
def list_(as_json: bool) -> None:
    """List workers, and who is at work.

    Those are known that your modules declare (PLATFORM_IMPORTS) and that were ever at work.
    """
    found = _fleet().workers()
    if as_json:
        print_json(found)
        return
    print_table(COLUMNS, [row for worker in found for row in _rows(worker)], SPARE)


@batch.command()
@click.argument("name")
@json_option("Print the worker as JSON.")
@reporting_errors()
def start(name: str, as_json: bool) -> None:
    """Let a worker be at work again, wherever it is run."""
    from platform.celery import app
    from platform.polling import keeping

    keeping.start(app.load_everything(), name)
    if as_json:
        _print_one(name)
    else:
        click.echo(f"{name} may be at work")


@batch.command()
@click.argument("name")
@json_option("Print the worker as JSON.")
@reporting_errors()
def stop(name: str, as_json: bool) -> None:
    """Let nobody begin another batch of a worker, whatever restarts, until it is started; the one under way ends."""
    from platform.celery import app
    from platform.polling import keeping

    app.load_everything()
    keeping.stop(name)
    if as_json:
        _print_one(name)
    else:
        click.echo(f"{name} is stopped; `batch start {name}` lets it go on")


def _print_one(name: str) -> None:
    print_json(next(worker for worker in _fleet().workers() if worker["name"] == name))


def _fleet() -> Any:
    from platform.celery import app
    from platform.polling.register import fleet

    app.load_everything()
    return fleet()


def _rows(worker: dict[str, Any]) -> list[list[object]]:
    stopped = "stopped" if worker["stopped"] else None
    if not worker["holders"]:
        return [[worker["name"], stopped or "free", *[None] * (len(COLUMNS) - 2)]]
    return [
        [
            *(worker["name"], "stopping" if stopped else one["state"], f"{one['slot'] + 1} of {worker['instances']}"),
            *(one["host"], one["pid"], one["how"], one["since"]),
            *(one["processed"], one["errors"], one["last_run_at"], one["fence"]),
        ]
        for one in worker["holders"]
    ]
