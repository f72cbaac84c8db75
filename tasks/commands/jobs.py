"""``celery -A platform jobs``: submit, list, show, wait for and cancel jobs from a terminal."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import click

from tasks.commands.output import json_anyway, json_option, print_json, print_table, reporting_errors

COLUMNS = ["Job", "Task", "Queue", "Pri", "State", "Attempts", "Created"]
#: What a narrow terminal does without, the first named first; `jobs show` has it all.
SPARE = ["Attempts", "Pri", "Finished", "Queue", "Created", "Eta"]


class Json(click.ParamType):
    name = "json"

    def __init__(self, kind: type):
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            found = json.loads(value) if isinstance(value, str) else value
        except json.JSONDecodeError as exc:
            self.fail(f"{value!r} is not JSON: {exc}", param, ctx)
        if not isinstance(found, self.kind):
            self.fail(f"{value!r} is not a JSON {'list' if self.kind is list else 'object'}", param, ctx)
        return found


@click.group()
def jobs() -> None:
    """Submit, list, show, wait for and cancel jobs."""


@jobs.command()
@click.argument("task")
@click.option("-a", "--args", type=Json(list), default="[]", help="Positional arguments, e.g. '[\"/etc/hosts\"]'.")
@click.option("-k", "--kwargs", type=Json(dict), default="{}", help='Keyword arguments, e.g. \'{"path": "/etc"}\'.')
@click.option("--queue", help="Default: the task's own.")
@click.option("--priority", type=click.IntRange(0, 9), help="9 is most urgent; default 5.")
@click.option("--countdown", type=float, help="Seconds to wait before it may run.")
@click.option("--wait", "wait_s", type=float, help="Wait up to so many seconds for its end.")
@json_option("Print the job as JSON, not its id alone.")
@reporting_errors()
def submit(task: str, args: list, kwargs: dict, wait_s: float | None, as_json: bool, **options: Any) -> None:
    """Submit TASK and print its job id (with --wait or --json: the job)."""
    from platform.celery import app
    from platform.errors import did_you_mean
    from tasks.signatures import Signature

    app.load_everything()
    if task not in app.tasks:
        click.echo(f"Error: there is no task {task!r}{did_you_mean(task, app.tasks)}", err=True)
        raise click.exceptions.Exit(1)
    Signature(app.tasks[task].run).check_call(args, kwargs)
    given = {name: value for name, value in options.items() if value is not None}
    own_id = str(uuid.uuid4())
    try:
        job_id = app.tasks[task].apply_async(args, kwargs, task_id=own_id, **given).id
    except (LookupError, ValueError) as exc:
        click.echo(f"Error: {exc}", err=True)
        raise click.exceptions.Exit(1) from exc
    if job_id != own_id:
        click.echo(f"{task} is unique: job {job_id} stands for this call, and no other one was submitted", err=True)
    if wait_s is not None:
        _wait_and_show(job_id, wait_s)
    elif as_json:
        _show(job_id)
    else:
        click.echo(job_id)


@jobs.command("ls")
@click.option("--state", help="pending, scheduled, running, retrying, completed, failed or cancelled.")
@click.option("--queue", help="Only of this queue.")
@click.option("--task", help="Only of this task.")
@click.option("--page", type=click.IntRange(1), default=1, show_default=True, help="Of the list.")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="Most on a page.")
@json_option("Print a JSON list.")
@reporting_errors()
def list_(state: str | None, queue: str | None, task: str | None, page: int, limit: int, as_json: bool) -> None:
    """List jobs, newest first."""
    from platform.jobs.ledger import ledger
    from platform.jobs.states import State

    if state is not None and state not in list(State):
        raise click.BadParameter(f"{state!r} is not one of {', '.join(State)}", param_hint="--state")
    wanted = State(state) if state else None
    found = ledger().list(state=wanted, queue=queue, task=task, offset=(page - 1) * limit, limit=limit)
    if as_json:
        print_json([job.as_dict() for job in found.items])
        return
    last, time_of = ("Eta", "eta") if wanted in (State.SCHEDULED, State.RETRYING) else ("Finished", "finished_at")
    rows = [
        [j.job_id, j.task, j.queue, j.priority, j.state, j.attempts, j.created_at, getattr(j, time_of)]
        for j in found.items
    ]
    print_table([*COLUMNS, last], rows, SPARE)
    click.echo(f"{len(rows)} of {found.total}{'' if found.is_exact else ' or more'}")


@jobs.command()
@click.argument("job_id")
@json_anyway
@reporting_errors()
def show(job_id: str) -> None:
    """Print one job as JSON."""
    _show(job_id)


@jobs.command()
@click.argument("job_id")
@click.option("--timeout", "timeout_s", type=float, default=3600.0, show_default=True, help="In seconds.")
@json_anyway
@reporting_errors()
def wait(job_id: str, timeout_s: float) -> None:
    """Wait for a job's end and print it; exit 1 unless it completed."""
    _wait_and_show(job_id, timeout_s)


@jobs.command()
@click.argument("job_id")
@json_option("Print the job as JSON.")
@reporting_errors()
def cancel(job_id: str, as_json: bool) -> None:
    """Cancel a waiting job, ask a running one to stop."""
    from platform.jobs.ledger import ledger

    verdict = ledger().cancel(job_id)
    if verdict == "final":
        click.echo(f"Error: the job is {ledger().get(job_id).state} already", err=True)
        raise click.exceptions.Exit(1)
    if as_json:
        _show(job_id)
    else:
        click.echo("cancelled" if verdict == "cancelled" else "asked to stop")


def _show(job_id: str) -> None:
    from platform.jobs.ledger import ledger

    print_json(ledger().get(job_id).as_dict())


def _wait_and_show(job_id: str, timeout_s: float) -> None:
    from platform.jobs.ledger import ledger
    from platform.jobs.states import State

    deadline = time.monotonic() + timeout_s
    while not (job := ledger().get(job_id)).is_final and time.monotonic() < deadline:
        time.sleep(0.1)
    print_json(job.as_dict())
    if job.state != State.COMPLETED:
        raise click.exceptions.Exit(1)
