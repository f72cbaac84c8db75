"""``celery -A platform batches``: list, show, follow, repair and cancel batches from a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tasks.commands.output import json_option, print_json, print_table, reporting_errors

if TYPE_CHECKING:
    from platform.batches.record import Batch

STATES = ("pending", "running", "completed", "failed", "cancelled")
COLUMNS = ["Batch", "Task", "State", "Total", "Done", "Failed", "Rate", "Created", "Finished"]
#: What a narrow terminal does without, the first named first; `batches show` has it all.
SPARE = ["Rate", "Finished", "Created", "Failed"]
LOOK_S = 0.2
MOST_FAILED_SHOWN = 10
WIDTH = 30


@click.group()
def batches() -> None:
    """List, show, follow, repair and cancel batches."""


@batches.command("ls")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--task", help="Only of this task.")
@click.option("--page", type=click.IntRange(1), default=1, show_default=True, help="Of the list.")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="Most on a page.")
@json_option("Print a JSON list.")
@reporting_errors()
def list_(state: str | None, task: str | None, page: int, limit: int, as_json: bool) -> None:
    """List batches, newest first."""
    from platform.batches.register import batches as register
    from platform.batches.states import BatchState

    found = register().list(
        state=BatchState(state) if state else None, task=task, offset=(page - 1) * limit, limit=limit
    )
    if as_json:
        print_json([batch.as_dict() for batch in found.items])
        return
    rows = [
        [b.batch_id, b.task, b.state, b.total, b.done, b.failed, _rate(b), b.created_at, b.finished_at]
        for b in found.items
    ]
    print_table(COLUMNS, rows, SPARE)
    click.echo(f"{len(rows)} of {found.total}{'' if found.is_exact else ' or more'}")


@batches.command()
@click.argument("batch_id", metavar="ID")
@click.option("--follow", is_flag=True, help="Show how it goes until it has ended; exit 1 unless it completed.")
@json_option("Print JSON; with --follow a line whenever it has moved.")
@reporting_errors()
def show(batch_id: str, follow: bool, as_json: bool) -> None:
    """Show one batch, and the first of its items that failed."""
    from platform.batches.register import batches as register

    batch = register().get(batch_id)
    if follow:
        batch = _follow(batch_id, as_json)
    elif as_json:
        children = [child.as_dict() for child in register().children(batch_id)]
        print_json(batch.as_dict() | {"children": children})
    if not as_json:
        _print(batch)
    if follow and batch.state != "completed":
        raise click.exceptions.Exit(1)


@batches.command()
@click.argument("batch_id", metavar="ID")
@json_option("Print the batch as JSON.")
@reporting_errors()
def retry(batch_id: str, as_json: bool) -> None:
    """Run again what failed, and only that."""
    from platform.batches import acts
    from platform.batches.register import batches as register
    from platform.celery import app

    app.load_everything()
    failed = register().get(batch_id).failed
    batch = acts.retry(batch_id)
    if as_json:
        print_json(batch.as_dict())
    else:
        click.echo(f"{failed} items run again; `batches show --follow {batch_id}` shows how it goes")


@batches.command()
@click.argument("batch_id", metavar="ID")
@json_option("Print the batch as JSON.")
@reporting_errors()
def cancel(batch_id: str, as_json: bool) -> None:
    """Nothing more of a batch is begun; what runs stops at the next item."""
    from platform.batches import acts
    from platform.celery import app

    app.load_everything()
    batch = acts.cancel(batch_id)
    if as_json:
        print_json(batch.as_dict())
    else:
        click.echo("cancelled" if batch.is_final else f"asked to stop; {batch.running} items still run")


def _follow(batch_id: str, as_json: bool) -> Batch:
    last = None
    for batch in _seen(batch_id):
        if as_json:
            told = batch.as_dict()
            if last is None or (told["done"], told["state"], told["total"]) != last:
                last = (told["done"], told["state"], told["total"])
                click.echo(_line_of_json(told))
        elif sys.stderr.isatty():
            click.echo(f"\r\x1b[K{_bar(batch)}", nl=False, err=True)
    if not as_json and sys.stderr.isatty():
        click.echo(err=True)
    return batch


def _seen(batch_id: str) -> Iterator[Batch]:
    from platform.batches.register import batches as register

    while True:
        batch = register().get(batch_id)
        yield batch
        if batch.is_final:
            return
        time.sleep(LOOK_S)


def _bar(batch: Batch) -> str:
    filled = WIDTH * batch.done // batch.total if batch.total else 0
    failed = f", {batch.failed} failed" if batch.failed else ""
    eta = "" if batch.eta_s is None else f", {batch.eta_s:.0f} s left"
    bar = "█" * filled + "░" * (WIDTH - filled)
    return f"{bar} {batch.done}/{batch.total}{failed}, {_rate(batch)}{eta}"


def _print(batch: Batch) -> None:
    from platform.batches.register import batches as register
    from platform.batches.states import ItemState
    from tasks.commands.output import printable

    hidden = ("on_complete", "on_success", "on_failure", "kwargs")
    rows = [[name, value] for name, value in batch.as_dict().items() if name not in hidden and value is not None]
    print_table(["", ""], rows)
    failed, total = register().items(batch.batch_id, ItemState.FAILED, limit=MOST_FAILED_SHOWN)
    for item in failed:
        error = item.error or {"type": "", "message": ""}
        click.echo(printable(f"item {item.index} failed, {item.attempts} runs: {error['type']}: {error['message']}"))
    if total > len(failed):
        click.echo(f"and {total - len(failed)} more")


def _rate(batch: Batch) -> str:
    return "-" if batch.rate_per_s is None else f"{batch.rate_per_s:,.1f}/s"


def _line_of_json(value: dict[str, Any]) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)
