"""The way into a worker's own process: ``python -m MODULE [--once] [--health-port N]``."""

from __future__ import annotations

import ast
import importlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import click

from tasks.commands.output import reporting_errors

if TYPE_CHECKING:
    from tasks.polling import BatchWorker

INTERRUPTED = 130  # as a shell says it of SIGINT


def module_of(cls: type) -> str:
    """The module's name, also while it is run as a program."""
    if cls.__module__ != "__main__":
        return cls.__module__
    main = sys.modules["__main__"]
    if main.__spec__ is not None:
        return main.__spec__.name
    return Path(getattr(main, "__file__", None) or "__main__").stem


def place_of(cls: type) -> str:
    return f"{module_of(cls)}.{cls.__qualname__}"


def take_over() -> None:
    """Run the worker of a module that is run as a program and has no ``__name__ == "__main__"`` of its own.

    Called by the first of its classes: the module is imported under its own name, where it is read to its end, and the
    worker it declares is run. Does nothing anywhere else.
    """
    main = sys.modules["__main__"]
    if main.__spec__ is None or main.__spec__.origin is None or _has_own_entrance(Path(main.__spec__.origin)):
        return
    from platform.polling import register

    module = importlib.import_module(main.__spec__.name)
    workers = [one for one in register.declared().values() if one.__module__ == module.__name__]
    if len(workers) != 1:
        names = ", ".join(worker.__qualname__ for worker in workers)
        click.echo(f"Error: {module.__name__} has the workers {names}; say which: CLASS.main() at its end", err=True)
        raise SystemExit(2)
    cast(Any, workers[0]).main()


def _has_own_entrance(file: Path) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(ast.parse(file.read_bytes())))


def run(worker: type[BatchWorker], arguments: Sequence[str] | None) -> NoReturn:
    """Parse the command line, run, and exit: 0 done, 1 failed, 2 wrong usage."""
    program = f"python -m {module_of(worker)}"
    command(worker).main(args=list(sys.argv[1:] if arguments is None else arguments), prog_name=program)
    raise SystemExit(0)  # not reached: click exits


def command(worker: type[BatchWorker]) -> click.Command:
    @click.option("--once", is_flag=True, help="One batch, then exit: 0, or 1 if it failed or no slot was free.")
    @click.option(
        "--health-port",
        type=click.IntRange(1, 65535),
        metavar="PORT",
        help="Serve /health, /ready, /status and /metrics on 127.0.0.1.",
    )
    @reporting_errors()
    def start(once: bool, health_port: int | None) -> None:
        raise click.exceptions.Exit(_run(worker, once, health_port))

    text = (worker.__doc__ or "").strip().partition("\n\n")[0] or f"The worker {worker.name}."
    manner = (
        f"Works as {worker.name}: looks for work, again soon where there was some, more and more seldom where not. "
        f"At most {worker.instances} of it at once, over all machines; a further one stands by. SIGTERM and Ctrl-C let "
        "the batch under way finish, a second Ctrl-C does not."
    )
    return click.command(help=f"{text}\n\n{manner}")(start)


def _run(worker: type[BatchWorker], once: bool, health_port: int | None) -> int:
    from platform.polling.foreground import Foreground
    from platform.polling.progress import Progress
    from platform.polling.register import own_slots
    from platform.polling.stop import SignalStop
    from platform.settings import settings

    logging.basicConfig(level=settings().log_level, format="%(asctime)s %(levelname)s %(message)s")
    progress = Progress(worker.name)
    poller: Any = worker()
    with SignalStop() as stop:
        try:
            foreground = Foreground(poller, own_slots(poller), stop, progress)
            if health_port is not None:
                _serve(health_port, progress)
            return foreground.run_once() if once else foreground.run()
        except KeyboardInterrupt:
            click.echo("stopped in the middle of a batch", err=True)
            return INTERRUPTED


def _serve(port: int, progress: Any) -> None:
    from platform import healthserver
    from platform.polling.progress import ProgressCollector

    own = healthserver.Own("worker", progress.as_dict, ProgressCollector(progress))
    healthserver.start(port, own=own, asked_by="--health-port")
