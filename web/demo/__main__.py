"""``python -m web.demo [FOLDER] [--keep]``; exit code 0, or 1 with the reason in one sentence."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import click

from web.client import AppError, Client
from web.demo import folder as folders
from web.demo import summary
from web.demo.act import Outcome, Stage
from web.demo.acts import ACTS
from web.demo.failure import DemoFailed
from web.demo.folder import Folder
from web.demo.interrupts import interrupts
from web.demo.screen import Screen
from web.demo.throwaway import Access, Throwaway

INTERRUPTED = 130
# An act with a large folder, on a busy machine; what it asks the server to wait comes on top.
REQUEST_TIMEOUT_S = 60.0


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--keep", is_flag=True, help="Leave it running at the end, and say how to stop it.")
def main(folder: Path | None, keep: bool) -> None:
    """Start the whole platform, do real work on FOLDER's files through every route, show what happened, stop.

    Without FOLDER the files are a copy of Python's standard library. FOLDER itself is only read.
    """
    interrupts.listen()
    screen = Screen()
    try:
        _demonstrate(screen, folder, keep)
    except KeyboardInterrupt:
        screen.say("Interrupted.")
        sys.exit(INTERRUPTED)
    except (DemoFailed, AppError, OSError, subprocess.SubprocessError) as exc:
        click.echo(f"Error: {exc}", err=True)
        sys.exit(1)


def _demonstrate(screen: Screen, chosen: Path | None, keep: bool) -> None:
    began = time.monotonic()
    source = folders.chosen(chosen) if chosen else None
    platform = Throwaway()
    try:
        folder = source or folders.standard_library(platform.data_dir / "library")
        access = _started(screen, platform, folder)
        played = _played(screen, access, folder)
        summary.show(screen, folder, played)
        summary.addresses(screen, access, stays=keep)
        if keep:
            summary.kept(screen, access, platform)
            return
    except BaseException as exc:
        _clear_away(screen, platform, keeps_logs=isinstance(exc, (DemoFailed, AppError)))
        raise
    _stop(screen, platform)
    platform.remove()
    screen.say()
    screen.say(f"Everything worked and is stopped again, after {time.monotonic() - began:.0f} s.", "green")


def _started(screen: Screen, platform: Throwaway, folder: Folder) -> Access:
    screen.say("Starting the platform: Valkey, worker, beat, web, Flower", "bold")
    with screen.busy("starting"):
        access = platform.start(folder.path, lambda line: screen.say(f"  {line}", "dim"))
    screen.say()
    screen.say(f"Working on {folder.path}: {len(folder.files):,} files", "bold")
    if folder.note:
        screen.say(f"  {folder.note}", "dim")
    return access


def _played(screen: Screen, access: Access, folder: Folder) -> list[tuple[str, Outcome]]:
    played = []
    with Client(access.url, access.api_key, timeout_s=REQUEST_TIMEOUT_S) as client:
        for act in ACTS:
            with screen.acting(act.TITLE) as report:
                outcome = act.play(Stage(client, access, folder, report))
            screen.acted(act.TITLE, outcome)
            played.append((act.TITLE, outcome))
    return played


def _stop(screen: Screen, platform: Throwaway) -> None:
    # A second Ctrl-C must not leave processes behind; what stops here has its own deadlines.
    interrupts.ignore()
    with screen.busy("stopping"):
        platform.stop()


def _clear_away(screen: Screen, platform: Throwaway, keeps_logs: bool) -> None:
    """After a failure the logs stay, for they may say why."""
    try:
        _stop(screen, platform)
    except (DemoFailed, OSError, subprocess.SubprocessError) as exc:
        click.echo(f"Error: not everything could be stopped: {exc}; try {platform.stop_command}", err=True)
        return
    screen.say("Everything is stopped again.")
    if keeps_logs and platform.logs.exists():
        screen.say(f"Its logs are in {platform.logs}")
    else:
        platform.remove()


if __name__ == "__main__":
    main()
