"""``python -m bench [NAME …] [--repeat N] [--jobs N] [--systems KEY …] [--output DIR]``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType

from rich.console import Console

from bench import machine, report
from bench.measures import BenchmarkFailed, Options

#: Name to module; the module is imported when the benchmark is asked for.
BENCHMARKS = {
    "jobs": "bench.jobs",
    "bulk": "bench.bulk",
    "batches": "bench.batches",
    "latency": "bench.latency",
    "pipeline": "bench.pipeline",
    "routing": "bench.routing",
    "sockets": "bench.sockets",
}
RESULTS = Path(__file__).parent / "results"
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done, 1 failed, 2 wrong usage, 130 stopped. Whatever was started has ended when it returns."""
    modules = {name: import_module(path) for name, path in BENCHMARKS.items()}
    chosen = _parser(modules).parse_args(arguments)
    options = Options(chosen.jobs, chosen.repeat, tuple(chosen.systems))
    try:
        for name in dict.fromkeys(chosen.names or BENCHMARKS):
            # One that has none of the systems asked for would write a file with nothing in it.
            if not chosen.systems or set(chosen.systems) & set(modules[name].SYSTEMS):
                _run(modules[name], options, chosen.output)
    except BenchmarkFailed as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: stopped; nothing was written", file=sys.stderr)
        return 130
    return 0


def _run(module: ModuleType, options: Options, folder: Path) -> None:
    console = Console()
    described, now = machine.describe(), datetime.now(UTC)
    results = module.measure(options, lambda text: console.print(text, style="dim", highlight=False))
    console.print(report.table(results))
    for file in report.write(results, described, now, folder):
        console.print(f"wrote {file}", style="dim", highlight=False, soft_wrap=True)


def _parser(modules: dict[str, ModuleType]) -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:<10} {module.SUMMARY}" for name, module in modules.items())
    parser = argparse.ArgumentParser(
        "python -m bench",
        description="Benchmarks, side by side with peers; without names all of them:\n\n" + listed,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    systems = sorted({key for module in modules.values() for key in module.SYSTEMS})
    known = ", ".join(modules)
    parser.add_argument("names", nargs="*", type=_one_of(modules), metavar="NAME", help=known)
    parser.add_argument("--repeat", type=_at_least_one, default=Options.repeat, help="rounds (default %(default)s)")
    parser.add_argument("--jobs", type=_at_least_one, default=Options.jobs, help="jobs at a time (default %(default)s)")
    parser.add_argument("--systems", nargs="+", default=(), choices=systems, metavar="KEY", help=", ".join(systems))
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="instead of bench/results")
    return parser


def _one_of(names: Collection[str]) -> Callable[[str], str]:
    """Not ``choices``: argparse would refuse the empty list that stands for all."""

    def check(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(names)}")
        return text

    return check


def _at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _interrupt_once(*_: object) -> None:
    """A second Ctrl-C must not cut short the stopping of what was started."""
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    print("bench: stopping what was started", file=sys.stderr)
    raise KeyboardInterrupt


if __name__ == "__main__":
    for interrupt in INTERRUPTS:
        signal.signal(interrupt, _interrupt_once)
    sys.exit(main())
