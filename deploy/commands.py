"""``celery -A platform up`` and ``services``: the whole platform on one machine.

Every Celery command imports this module, workers and beat included, so at module level it imports click alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from tasks.commands.output import json_option, print_json, reporting_errors

if TYPE_CHECKING:
    from deploy.supervision.selection import Selection
    from deploy.supervision.status import Service

NAME = click.argument("name", required=False)
JSON = json_option("Print a JSON list.")


@click.command()
@click.option("--detach", is_flag=True, help="Return once everything is ready, and leave it running.")
@click.pass_context
@reporting_errors()
def up(context: click.Context, detach: bool) -> None:
    """Run everything on this machine: Valkey, workers, beat, web and Flower; restart what dies.

    Without --detach it stays, shows what dies and what is back, and stops everything on Ctrl-C.
    """
    _up(context, detach)


@click.group()
def services() -> None:
    """See and manage what `up` started.

    NAME is one service, or `worker` for all workers; without it, a command means everything.
    """


@services.command()
@NAME
@JSON
@reporting_errors()
def status(name: str | None, as_json: bool) -> None:
    """Show what is running, since when, and where."""
    from deploy.supervision.errors import NotRunning

    try:
        _show(_running(name).services(), as_json)
    except NotRunning:
        if as_json:
            print_json([])
        raise


@services.command()
@NAME
@JSON
@click.pass_context
@reporting_errors()
def start(context: click.Context, name: str | None, as_json: bool) -> None:
    """Start what is stopped; if nothing runs and no NAME is given, like `up --detach`."""
    from deploy.supervision import lifecycle
    from deploy.supervision.errors import NotRunning

    try:
        selection = _running(name)
    except NotRunning:
        if name:
            raise
        _up(context, detach=True, as_json=as_json)
        return
    lifecycle.start_some(selection.client, selection.names, selection.settings)
    _show(selection.services(), as_json)


@services.command()
@NAME
@JSON
@reporting_errors()
def stop(name: str | None, as_json: bool) -> None:
    """Stop one service, or everything and the supervisor too; running jobs may end."""
    from deploy.supervision import foreground, lifecycle
    from deploy.supervision.screen import Screen
    from platform.settings import settings

    if name:
        selection = _running(name)
        lifecycle.stop_some(selection.client, selection.names, selection.settings)
        _show(selection.services(), as_json)
    else:
        foreground.stop_everything(settings(), Screen(quiet=as_json))
        if as_json:
            print_json([])


@services.command()
@NAME
@JSON
@reporting_errors()
def restart(name: str | None, as_json: bool) -> None:
    """Stop and start; use `update` to keep serving meanwhile."""
    from deploy.supervision import lifecycle

    selection = _running(name)
    lifecycle.restart_some(selection.client, selection.names, selection.settings)
    _show(selection.services(), as_json)


@services.command()
@NAME
@JSON
@click.pass_context
@reporting_errors()
def update(context: click.Context, name: str | None, as_json: bool) -> None:
    """Load new code, one service after the other; the web never closes its port."""
    from deploy.supervision import rolling

    def say(words: str) -> None:
        click.echo(words, err=as_json)

    selection = _running(name)
    rolling.update(selection.client, selection.names, selection.settings, context.obj.app, say)
    _show(selection.services(), as_json)


@services.command()
@NAME
@JSON
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on, until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(min=0), default=100, show_default=True, help="How many of the last.")
@reporting_errors()
def logs(name: str | None, as_json: bool, follow: bool, lines: int) -> None:
    """Print the end of a service's log, or of all; also after they were stopped."""
    from deploy.supervision import logbook
    from platform.settings import settings

    with _naming():
        logbook.show(settings(), name, lines=lines, follow=follow, as_json=as_json)


def _up(context: click.Context, detach: bool, as_json: bool = False) -> None:
    """With ``as_json``, which goes with ``detach``, what people watch is on stderr."""
    from deploy.supervision import foreground
    from deploy.supervision.screen import Screen

    went_well = foreground.run(context.obj.app, detach, Screen(err=as_json))
    if as_json:
        _show(_running(None).services(), as_json)
    if not went_well:
        raise click.exceptions.Exit(1)


def _running(name: str | None) -> Selection:
    from deploy.supervision import selection

    with _naming():
        return selection.running(name)


def _show(found: list[Service], as_json: bool) -> None:
    from deploy.supervision.screen import Screen

    if as_json:
        print_json([service.as_json() for service in found])
    else:
        Screen().table(found)


@contextmanager
def _naming() -> Iterator[None]:
    """An unknown NAME is wrong usage: exit code 2."""
    from deploy.supervision.errors import UnknownService

    try:
        yield
    except UnknownService as exc:
        click.echo(f"Error: {exc}", err=True)
        raise click.exceptions.Exit(2) from exc
