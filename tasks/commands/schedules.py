"""``celery -A platform schedules``: list, add, remove, pause, resume and run schedules from a terminal."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from tasks.commands.jobs import Json
from tasks.commands.output import json_option, print_json, print_table, reporting_errors

if TYPE_CHECKING:
    from platform.schedules.schedule import Schedule

COLUMNS = ["Schedule", "Name", "Task", "When", "Zone", "State", "Next", "Last", "Last job"]
#: What a narrow terminal does without, the first named first; `schedules ls --json` has it all.
SPARE = ["Last job", "Last", "Zone", "Schedule", "Task"]

_names = click.argument("names", nargs=-1, required=True, metavar="NAME|ID…")
_json = json_option("Print JSON.")


@click.group()
def schedules() -> None:
    """List, add, remove, pause, resume and run schedules."""


@schedules.command("ls")
@click.option("--page", type=click.IntRange(1), default=1, show_default=True, help="Of the list.")
@click.option("--limit", type=click.IntRange(1, 500), default=100, show_default=True, help="Most on a page.")
@json_option("Print a JSON list.")
@reporting_errors()
def list_(page: int, limit: int, as_json: bool) -> None:
    """List schedules, newest first, and say who acts on them."""
    from platform.schedules.election import schedulers
    from platform.schedules.register import register

    found = register().page(None, (page - 1) * limit, limit)
    if as_json:
        print_json([schedule.as_dict() for schedule in found.items])
        return
    print_table(COLUMNS, [_row(schedule) for schedule in found.items], SPARE)
    click.echo(f"{len(found.items)} of {found.total}")
    for schedule in found.items:
        if schedule.last_error:
            click.echo(f"{schedule.definition.name} made no job: {schedule.last_error}")
    if found.total and not any(one.acting for one in schedulers(register())):
        click.echo("no scheduler acts; start one: celery -A platform beat", err=True)


@schedules.command()
@click.argument("name")
@click.option("--task", required=True, help="What to run.")
@click.option("--cron", help="Minute, hour, day of month, month, day of week: '*/5 * * * *'; or @daily.")
@click.option("--every", "every_s", type=float, metavar="SECONDS", help="Instead of --cron: an interval.")
@click.option("--timezone", default="UTC", show_default=True, help="The cron's, as Europe/Berlin.")
@click.option("-a", "--args", type=Json(list), default="[]", help="Positional arguments, e.g. '[\"/etc/hosts\"]'.")
@click.option("-k", "--kwargs", type=Json(dict), default="{}", help='Keyword arguments, e.g. \'{"path": "/etc"}\'.')
@click.option("--queue", help="Default: the task's own.")
@click.option("--priority", type=click.IntRange(0, 9), help="9 is most urgent; default: the task's own.")
@click.option(
    "--missed",
    type=click.Choice(["skip", "once", "all"]),
    default="once",
    show_default=True,
    help="What becomes of runs that were due while no scheduler acted.",
)
@click.option(
    "--overlap",
    type=click.Choice(["allow", "skip", "replace"]),
    default="allow",
    show_default=True,
    help="What becomes of a run while the one before has not ended.",
)
@click.option("--paused", is_flag=True, help="Not to run until it is resumed.")
@_json
@reporting_errors()
def add(name: str, paused: bool, as_json: bool, **said: Any) -> None:
    """Let a task run on a clock, by --cron or --every."""
    from platform.schedules import acts
    from platform.schedules.definition import Definition

    _check_call(said["task"], said["args"], said["kwargs"])
    made = acts.add(Definition(name=name, **said), _actor(), paused)
    if as_json:
        print_json(made.as_dict())
        return
    click.echo(f"added {name} ({made.id}); {'paused' if paused else 'next run ' + str(made.as_dict()['next_run_at'])}")


@schedules.command("rm")
@_names
@json_option('Print a JSON list of {"deleted": id}.')
@reporting_errors()
def remove(names: tuple[str, ...], as_json: bool) -> None:
    """Remove schedules; the jobs they made stay."""
    from platform.schedules import acts
    from platform.schedules.register import register

    removed = []
    try:
        for name in names:
            acts.remove(schedule_id := register().named(name).id, _actor())
            removed.append({"deleted": schedule_id})
            if not as_json:
                click.echo(f"removed {name}")
    finally:
        if as_json and removed:  # also where another one was unknown: these are gone
            print_json(removed)


@schedules.command()
@_names
@_json
@reporting_errors()
def pause(names: tuple[str, ...], as_json: bool) -> None:
    """Let schedules make no run until they are resumed; jobs they made go on."""
    from platform.schedules import acts

    _each(names, as_json, acts.pause, "paused")


@schedules.command()
@_names
@_json
@reporting_errors()
def resume(names: tuple[str, ...], as_json: bool) -> None:
    """Let schedules make runs again, from now on; nothing of the pause is made up."""
    from platform.schedules import acts

    _each(names, as_json, acts.resume, "resumed")


@schedules.command()
@click.argument("name", metavar="NAME|ID")
@_json
@reporting_errors()
def run(name: str, as_json: bool) -> None:
    """Run a schedule now, whatever its times, and print the job's id (with --json: the job)."""
    from platform.celery import app
    from platform.jobs.ledger import ledger
    from platform.schedules import acts
    from platform.schedules.register import register

    app.load_everything()
    job_id = acts.run(register().named(name).id, _actor(), app)
    if as_json:
        print_json(ledger().get(job_id).as_dict())
    else:
        click.echo(job_id)


def _each(names: tuple[str, ...], as_json: bool, act: Callable[[str, str], Schedule], done: str) -> None:
    from platform.schedules.register import register

    changed = [act(register().named(name).id, _actor()) for name in names]
    if as_json:
        print_json([schedule.as_dict() for schedule in changed])
        return
    for name in names:
        click.echo(f"{done} {name}")


def _check_call(task: str, args: list, kwargs: dict) -> None:
    from platform.celery import app
    from platform.errors import did_you_mean
    from tasks.signatures import Signature

    app.load_everything()
    if task not in app.tasks:
        click.echo(f"Error: there is no task {task!r}{did_you_mean(task, app.tasks)}", err=True)
        raise click.exceptions.Exit(1)
    Signature(app.tasks[task].run).check_call(args, kwargs)


def _actor() -> str:
    """Who sits at this terminal, as the audit trail names them."""
    return f"cli:{getpass.getuser()}"


def _row(schedule: Schedule) -> list[object]:
    given, told = schedule.definition, schedule.as_dict()
    times = (told["next_run_at"], told["last_run_at"], schedule.last_job_id)
    return [schedule.id, given.name, given.task, _when(schedule), _zone(schedule), _state(schedule), *times]


def _when(schedule: Schedule) -> str:
    given = schedule.definition
    if given.every_s is not None:
        return f"every {given.every_s:g} s"
    return given.cron or "as its module says"


def _zone(schedule: Schedule) -> str | None:
    return schedule.definition.timezone if schedule.definition.cron else None


def _state(schedule: Schedule) -> str:
    if schedule.is_paused:
        return "paused"
    return "failing" if schedule.last_error else "active"
