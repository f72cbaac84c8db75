"""``celery -A platform dlq``: list, show, edit, replay and discard dead letters from a terminal."""

from __future__ import annotations

import getpass
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from tasks.commands.jobs import Json
from tasks.commands.output import json_option, print_json, print_table, reporting_errors

if TYPE_CHECKING:
    from platform.deadletters.letter import Letter
    from platform.deadletters.register import Filter

REASONS = ("retries_exhausted", "rejected", "worker_lost", "time_limit", "expired", "unregistered", "undecodable",
           "invalid")  # fmt: skip
STATES = ("dead", "replayed", "discarded")
COLUMNS = ["Letter", "Died", "Reason", "Task", "Queue", "Runs", "Replayed", "Error"]
MOST_ERROR_CHARS = 80
NONE_MATCH = "no dead letter matches"
#: What a narrow terminal does without, the first named first; `dlq show` has it all.
SPARE = ["Replayed", "Queue", "Runs", "Died", "Error"]

_reason = click.option("--reason", type=click.Choice(REASONS), help="Only those that died so.")
_task = click.option("--task", help="Only of this task.")
_queue = click.option("--queue", help="Only of this queue.")
_all = click.option("--all", "everything", is_flag=True, help="All dead letters.")
_yes = click.option("--yes", is_flag=True, help="Do not ask.")
_json = json_option("Print JSON: a list of the letters, or where all that match are meant how many they were.")


@click.group()
def dlq() -> None:
    """List, show, edit, replay and discard dead letters."""


@dlq.command("ls")
@_reason
@_task
@_queue
@click.option("--state", type=click.Choice(STATES), default="dead", show_default=True, help="What became of them.")
@click.option("--page", type=click.IntRange(1), default=1, show_default=True, help="Of the list.")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="Most on a page.")
@json_option("Print a JSON list.")
@reporting_errors()
def list_(state: str, page: int, limit: int, as_json: bool, **chosen: Any) -> None:
    """List dead letters, those that died last first."""
    from platform.deadletters.letter import LetterState
    from platform.deadletters.register import Filter, dead_letters

    found = dead_letters().list(Filter(**chosen), LetterState(state), (page - 1) * limit, limit)
    if as_json:
        print_json([letter.as_dict() for letter in found.items])
        return
    rows = [
        [a.dead_letter_id, a.dead_at, a.reason, a.task or None, a.queue, a.attempts, a.replayed, _short(a.error)]
        for a in found.items
    ]
    print_table(COLUMNS, rows, SPARE, elastic="Error")
    click.echo(f"{len(rows)} of {found.total}{'' if found.is_exact else ' or more'}")


@dlq.command()
@click.argument("letter_id", metavar="ID")
@json_option("Print JSON, with the message's bytes in base64.")
@reporting_errors()
def show(letter_id: str, as_json: bool) -> None:
    """Show one dead letter in full: why it died, with what evidence and arguments, and what became of it."""
    from platform.deadletters.register import dead_letters
    from tasks.commands.letters import print_letter

    in_full = _in_full(dead_letters().get(letter_id))
    if as_json:
        print_json(in_full)
    else:
        print_letter(in_full)


@dlq.command()
@click.argument("letter_id", metavar="ID")
@click.option("-a", "--args", type=Json(list), help="Instead of the positional arguments, e.g. '[\"/etc/hosts\"]'.")
@click.option("-k", "--kwargs", type=Json(dict), help='Instead of the keyword arguments, e.g. \'{"path": "/etc"}\'.')
@json_option("Print the letter as JSON, as `dlq show` does.")
@reporting_errors()
def edit(letter_id: str, args: list | None, kwargs: dict | None, as_json: bool) -> None:
    """Give a dead letter other arguments; a replay sends them. What is not given stays as it is."""
    if args is None and kwargs is None:
        raise click.UsageError("give --args, --kwargs or both")
    from platform.deadletters import acts

    letter = acts.edit(letter_id, _actor(), args, kwargs)
    if as_json:
        print_json(_in_full(letter))
    else:
        click.echo(f"edited {letter_id}; `dlq replay {letter_id}` sends it")


@dlq.command()
@click.argument("letter_ids", metavar="[ID]...", nargs=-1)
@_reason
@_task
@_queue
@_all
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="At most so many letters a second.")
@_yes
@_json
@reporting_errors()
def replay(
    letter_ids: tuple[str, ...], rate: float | None, yes: bool, everything: bool, as_json: bool, **chosen: Any
) -> None:
    """Send dead letters to their queues again: the IDs given, or all that match."""
    from platform.deadletters import acts

    wanted = _wanted(letter_ids, everything, chosen)
    if wanted is None:
        _one_by_one(letter_ids, acts.replay, "replayed", as_json)
        return
    from platform.deadletters.replaying import ReplayOfMany

    until_ms, total = _now_ms(), _confirmed("Replay", wanted, yes)
    with acts.of_many("replay", _actor(), wanted, rate_per_s=rate, matching=total):
        many = ReplayOfMany(wanted, until_ms, _actor(), rate)
    _go_through((tally.done for tally in many.steps()), total, "Replaying")
    if as_json:
        print_json({"replayed": many.tally.replayed, "left_out": many.tally.left_out, "why": many.tally.why})
    else:
        click.echo(f"{many.tally.replayed} replayed" if total else NONE_MATCH)
    if many.tally.left_out:
        click.echo(f"Error: {many.tally.left_out} could not go back; the last: {many.tally.why}", err=True)
        raise click.exceptions.Exit(1)


@dlq.command()
@click.argument("letter_ids", metavar="[ID]...", nargs=-1)
@_reason
@_task
@_queue
@_all
@_yes
@_json
@reporting_errors()
def discard(letter_ids: tuple[str, ...], yes: bool, everything: bool, as_json: bool, **chosen: Any) -> None:
    """Give dead letters up: the IDs given, or all that match. Their jobs stay failed."""
    from platform.deadletters import acts

    wanted = _wanted(letter_ids, everything, chosen)
    if wanted is None:
        _one_by_one(letter_ids, acts.discard, "discarded", as_json)
        return
    until_ms, total = _now_ms(), _confirmed("Discard", wanted, yes)
    with acts.of_many("discard", _actor(), wanted, matching=total):
        many = acts.DiscardOfMany(wanted, until_ms, _actor())
    _go_through(many.steps(), total, "Discarding")
    if as_json:
        print_json({"discarded": many.discarded})
    else:
        click.echo(f"{many.discarded} discarded" if total else NONE_MATCH)


def _wanted(letter_ids: tuple[str, ...], everything: bool, chosen: dict[str, str | None]) -> Filter | None:
    """The filter; None where ids are given instead."""
    from platform.deadletters.register import Filter

    is_filter = everything or any(chosen.values())
    if bool(letter_ids) == is_filter:
        raise click.UsageError("give either IDs, or --reason, --task, --queue or --all")
    return Filter(**chosen) if is_filter else None


def _one_by_one(letter_ids: tuple[str, ...], act: Callable[[str, str], Letter], done: str, as_json: bool) -> None:
    """Do what can be done; one that fails holds up none of the others."""
    from platform.errors import PlatformError

    letters = []
    for letter_id in letter_ids:
        try:
            letters.append(letter := act(letter_id, _actor()))
        except PlatformError as exc:
            click.echo(f"Error: {exc}", err=True)
            continue
        if not as_json:
            click.echo(f"{done} {letter_id}{f' (job {letter.job_id})' if letter.job_id else ''}")
    if as_json and letters:
        print_json([letter.as_dict() for letter in letters])
    if len(letters) < len(letter_ids):
        raise click.exceptions.Exit(1)


def _confirmed(verb: str, wanted: Filter, yes: bool) -> int:
    """How many match, once it is clear that they are meant."""
    from platform.deadletters.register import dead_letters

    total = dead_letters().list(wanted, limit=0).total
    if not yes and total:
        if not sys.stdin.isatty():
            raise click.UsageError(f"{total} dead letters match; give --yes to {verb.lower()} them")
        click.confirm(f"{verb} {total} dead letters?", abort=True, err=True)
    return total


def _go_through(steps: Iterator[int], total: int, label: str) -> None:
    """Show how far it is, on a terminal."""
    hidden = not (total and sys.stderr.isatty())
    with click.progressbar(length=total, label=label, file=sys.stderr, show_pos=True, hidden=hidden) as bar:
        for done in steps:
            bar.update(done - bar.pos)


def _in_full(letter: Letter) -> dict[str, Any]:
    from platform.deadletters.register import dead_letters

    return letter.in_full(list(dead_letters().history(letter)))


def _short(error: dict[str, str]) -> str:
    text = f"{error['type']}: {error['message']}"
    return text if len(text) <= MOST_ERROR_CHARS else text[: MOST_ERROR_CHARS - 1] + "…"


def _actor() -> str:
    return f"cli:{getpass.getuser()}"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
