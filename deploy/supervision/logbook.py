"""``services logs``: the end of one log or of all, and what is added."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress

import click

from deploy.supervision import daemon, logs, selection
from deploy.supervision.errors import NotRunning
from deploy.supervision.place import Place
from platform.settings import Settings

POLL_S = 0.2
Write = Callable[[str, str], None]


def show(settings: Settings, name: str | None, lines: int, follow: bool, as_json: bool) -> None:
    """Print the last lines; with ``follow`` go on until Ctrl-C, which is no failure.

    Several logs get their program's name in front of each line. As JSON it is a list of
    ``{"name","line"}``; followed, one such object a line.
    Raises UnknownService, and NotRunning if nothing was ever written.
    """
    place = Place(settings.data_dir)
    names = selection.configured(name, settings)
    if not follow and not any(place.log(known).exists() for known in names):
        raise NotRunning(daemon.nothing_runs(place))
    # Opened before the ends are read: a line may come twice then, but none is missed.
    followers = {known: logs.Follower(place.log(known)) for known in names}
    last = [(known, line) for known in names for line in logs.tail(place.log(known), lines)]
    if as_json and not follow:
        click.echo(json.dumps([{"name": known, "line": line} for known, line in last], indent=2, ensure_ascii=False))
        return
    write = _as_json if as_json else _as_text(names)
    for known, line in last:
        write(known, line)
    if follow:
        with suppress(KeyboardInterrupt):
            _follow(followers, write)


def _follow(followers: dict[str, logs.Follower], write: Write) -> None:
    while True:
        for name, follower in followers.items():
            for line in follower.read():
                write(name, line)
        time.sleep(POLL_S)


def _as_json(name: str, line: str) -> None:
    click.echo(json.dumps({"name": name, "line": line}, ensure_ascii=False))


def _as_text(names: list[str]) -> Write:
    width = max(len(name) for name in names)
    if len(names) == 1:
        return lambda _, line: click.echo(line)
    return lambda name, line: click.echo(f"{name:<{width}} | {line}")
