"""``celery -A platform queues``: look at the queues, pause, resume and limit them from a terminal."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import click

from tasks.commands.output import json_option, print_json, print_table, reporting_errors

if TYPE_CHECKING:
    from platform.queueing.overview import QueueNow

COLUMNS = [
    *("Queue", "State", "Waiting", "Pri 9…0", "Running", "Limited", "Later"),
    *("Oldest", "In/s", "Out/s", "Fail/s", "Workers"),
]


@click.group()
def queues() -> None:
    """List, pause, resume and limit queues."""


@queues.command("ls")
@json_option("Print a JSON list.")
@reporting_errors()
def list_(as_json: bool) -> None:
    """List queues with their depth, age and rates.

    Limited are the jobs that wait for their turn under a limit, their task's or the queue's; Later those that wait for
    their time or their next attempt; rates are of the last minute.
    """
    from platform.queueing.overview import queues_now

    _know_stages()
    found = queues_now()
    if as_json:
        print_json([queue.as_dict() for queue in found])
        return
    print_table(COLUMNS, [_row(queue) for queue in found])
    for queue in found:
        if queue.paused:
            click.echo(f"{queue.name} was paused by {queue.paused_by} at {queue.paused_at}")
        if queue.limits:
            what = _limits(queue.limits["concurrency"], queue.limits["rate"])
            click.echo(f"{queue.name} was limited to {what} by {queue.limits['set_by']} at {queue.limits['set_at']}")


@queues.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@json_option("Print a JSON list of the queues.")
@reporting_errors()
def pause(names: tuple[str, ...], as_json: bool) -> None:
    """Let no worker take from these queues until they are resumed.

    It holds for workers that start later and over restarts of everything. Running jobs go on, submitting too.
    """
    from platform.queueing import acts

    _know_stages()
    acts.pause(names, _actor())
    _tell(names, as_json, "paused")


@queues.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@json_option("Print a JSON list of the queues.")
@reporting_errors()
def resume(names: tuple[str, ...], as_json: bool) -> None:
    """Let workers take from these queues again, at once."""
    from platform.queueing import acts

    _know_stages()
    acts.resume(names, _actor())
    _tell(names, as_json, "resumed")


@queues.command()
@click.argument("name")
@click.option("--concurrency", type=int, metavar="N", help="Most of its jobs running at once, over all workers.")
@click.option("--rate", metavar="RATE", help="Most of its jobs begun in a time: 10/s, 100/m, 5/h.")
@click.option("--none", "lift", is_flag=True, help="No limits any more.")
@json_option("Print the queue as JSON.")
@reporting_errors()
def limit(name: str, concurrency: int | None, rate: str | None, lift: bool, as_json: bool) -> None:
    """Let only so many jobs of a queue run at once, or begin in a time; what is not given is not limited.

    It holds for workers that start later and over restarts of everything. Jobs that run already go on and are not
    counted; those that wait and fit start at once.
    """
    from platform.queueing import acts
    from platform.queueing.overview import queue_now

    if lift == (concurrency is not None or rate is not None):
        raise click.UsageError("give either --concurrency, --rate or both, or --none")
    _know_stages()
    acts.limit(name, concurrency, rate, _actor())
    if as_json:
        print_json(queue_now(name).as_dict())
    else:
        click.echo(f"{name}: {_limits(concurrency, rate)}")


def _tell(names: tuple[str, ...], as_json: bool, done: str) -> None:
    from platform.queueing.overview import queues_now

    if as_json:
        print_json([queue.as_dict() for queue in queues_now(names)])
        return
    for name in names:
        click.echo(f"{done} {name}")


def _know_stages() -> None:
    """Their queues are declared by the user's modules."""
    from platform.celery import app

    app.load_everything()


def _actor() -> str:
    """Who sits at this terminal, as the audit trail names them."""
    return f"cli:{getpass.getuser()}"


def _limits(concurrency: int | None, rate: str | None) -> str:
    """``20 at once, 100/s``."""
    return ", ".join(part for part in (concurrency and f"{concurrency} at once", rate) if part) or "no limits"


def _row(queue: QueueNow) -> list[object]:
    speeds = queue.rates
    return [
        queue.name,
        "paused" if queue.paused else "active",
        queue.depth,
        _split(queue.by_priority),
        queue.running,
        queue.limited,
        queue.scheduled + queue.retrying,
        _age(queue.oldest_age_s),
        *(f"{speed:.1f}" for speed in (speeds.in_per_s, speeds.out_per_s, speeds.failed_per_s)),
        len(queue.consumers),
    ]


def _split(by_priority: dict[str, int] | None) -> str | None:
    """``9:2 5:10``: the priorities at which something waits."""
    if by_priority is None:
        return None
    return " ".join(f"{priority}:{count}" for priority, count in by_priority.items() if count) or None


def _age(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {rest}s" if minutes else f"{rest}s"
