"""What ``up`` and ``services`` show: a line for each change, and a table of what runs where."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.supervision.lifecycle import Starting
from deploy.supervision.place import Place
from deploy.supervision.programs import url
from deploy.supervision.status import Service
from platform import credentials
from platform.settings import Settings
from tasks.commands.output import PIPE_WIDTH

COLUMNS = ("Name", "State", "PID", "For", "Restarts", "Where")
GOOD, CHANGING, BAD, QUIET = "green", "yellow", "bold red", "dim"
COLOURS = {"running": GOOD, "starting": CHANGING, "stopping": CHANGING, "stopped": QUIET}
Show = Callable[[str], None]


class Screen:
    """Prints to standard output, or to standard error; off a terminal without colours, and no line is cut or folded."""

    def __init__(self, quiet: bool = False, err: bool = False) -> None:
        out = sys.stderr if err else sys.stdout
        width = None if out.isatty() else PIPE_WIDTH
        self.console = Console(file=out, width=width, quiet=quiet, markup=False, highlight=False, emoji=False)

    def say(self, words: str = "", style: str = "") -> None:
        self.console.print(Text(words, style))

    def event(self, words: str, style: str = "") -> None:
        """A line with the time of day, for what happens while people watch."""
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        self.console.print(Text.assemble((now, QUIET), "  ", (words, style)))

    @contextmanager
    def spinner(self, words: str) -> Iterator[Show]:
        """One line that changes while something is under way; nothing off a terminal."""
        if not self.console.is_terminal:
            yield lambda _: None
            return
        with self.console.status(Text(words), spinner="dots") as status:
            yield lambda text: status.update(Text(text))

    def start(self, steps: Iterable[Starting]) -> Starting | None:
        """Show a start until it is over, a line for each program that became ready; its last step."""
        shown: set[str] = set()
        step = None
        with self.spinner("starting the supervisor") as show:
            for step in steps:
                for name in [name for name in step.ready if name not in shown]:
                    self.say(f"  {name:<9} ready after {step.ready[name]:.1f} s", GOOD)
                shown |= step.ready.keys()
                show(f"waiting for {', '.join(step.waiting)} ({step.elapsed_s:.0f} s)")
        for name, said in step.failed.items() if step else ():
            self.say(f"  {name:<9} is not ready; its log ends with: {said}", BAD)
        return step

    def stop(self, steps: Iterable[list[str]]) -> None:
        """Show a stop until it is over, a line for each program that ended."""
        before: list[str] = []
        with self.spinner("stopping") as show:
            for living in steps:
                self._tell_stopped([name for name in before if name not in living])
                before = living
                show(f"waiting for {', '.join(living) or 'the supervisor'} to end")
        self._tell_stopped(before)

    def _tell_stopped(self, names: Sequence[str]) -> None:
        for name in reversed(names):
            self.say(f"  {name:<9} stopped", QUIET)

    def table(self, services: Sequence[Service]) -> None:
        table = Table(*COLUMNS, box=box.SIMPLE_HEAD, pad_edge=False)
        for column in (2, 3, 4):
            table.columns[column].justify = "right"
        for service in services:
            state = Text(service.state, COLOURS.get(service.state, BAD))
            pid = str(service.pid or "-")
            restarts = Text(str(service.restarts), CHANGING if service.restarts else "")
            table.add_row(service.name, state, pid, _age(service.since), restarts, service.url or "-")
        self.console.print(table)

    def addresses(self, settings: Settings) -> None:
        """Where people go from here."""
        api = url(settings.http_host, settings.http_port)
        flower = url(settings.http_host, settings.flower_port)
        password = f"password {_flower_password_place(settings)}"
        rows = [
            ("API", api),
            ("Docs", f"{api}/docs"),
            ("Flower", f"{flower}  user {settings.flower_user}, {password}"),
            ("Logs", str(Place(settings.data_dir).logs)),
        ]
        for label, where in rows:
            self.console.print(Text.assemble("  ", (f"{label:<8}", "bold"), where), soft_wrap=True)


def _flower_password_place(settings: Settings) -> str:
    """Where the password is read, never the password itself."""
    if settings.flower_password is not None:
        return "as set in PLATFORM_FLOWER_PASSWORD"
    credentials.flower_password(settings)  # made now if Flower has not done so yet
    return f"in {settings.data_dir / 'secrets' / 'flower_password'}"


def _age(since: datetime | None) -> str:
    """``42s``, ``3m``, ``5h 10m``, ``2d 4h``."""
    if since is None:
        return "-"
    seconds = max(0, int((datetime.now(UTC) - since).total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if seconds < 60:
        return f"{seconds}s"
    if minutes < 60:
        return f"{minutes}m {seconds % 60}s"
    return f"{hours}h {minutes % 60}m" if hours < 48 else f"{days}d {hours % 24}h"
