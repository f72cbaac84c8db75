"""One dead letter as a page for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from tasks.commands.output import printable

MOST_CHARS = 2_000


def print_letter(letter: dict[str, Any]) -> None:
    """Print a dead letter in full (``Letter.in_full``)."""
    for line in _page(letter):
        click.echo(line)


def _page(letter: dict[str, Any]) -> Iterator[str]:
    yield click.style(f"{letter['dead_letter_id']}  {letter['state']}", bold=True)
    yield from _rows(_facts(letter))
    yield from _section("Error", _error(letter["error"]))
    if letter["evidence"]:
        yield from _section("Evidence", _rows(_evidence(letter["evidence"])))
    yield from _section("Arguments", _rows(_arguments(letter)))
    yield from _section("Message", _rows(_message(letter["message"])))
    yield from _section("History", (_event(event) for event in letter["history"]))


def _facts(letter: dict[str, Any]) -> dict[str, str]:
    runs, replays = letter["attempts"], letter["replayed"]
    return {
        "reason": letter["reason"],
        "task": letter["task"] or "-",
        "queue": letter["queue"],
        "job": letter["job_id"] or "-",
        "runs": f"{runs}, replayed {replays} time{'' if replays == 1 else 's'}",
        "first failed": letter["first_failed_at"],
        "died": letter["dead_at"],
        "owner": f"{letter['owner'] or '-'} of {letter['app_id'] or '-'}",
    }


def _error(error: dict[str, str]) -> Iterator[str]:
    if error["traceback"]:
        yield from (f"  {printable(line)}" for line in error["traceback"].rstrip().splitlines())
    last = f"{error['type']}: {error['message']}"
    if last not in error["traceback"]:
        yield from (f"  {printable(line)}" for line in last.splitlines())


def _evidence(evidence: dict[str, Any]) -> dict[str, str]:
    shown = {name.replace("_", " "): str(value) for name, value in evidence.items()}
    if size := evidence.get("peak_memory_bytes"):
        shown["peak memory"] = f"{size / 2**20:.0f} MiB"
        del shown["peak memory bytes"]
    return shown


def _arguments(letter: dict[str, Any]) -> dict[str, str]:
    shown = {"args": _json(letter["args"]), "kwargs": _json(letter["kwargs"])}
    if letter["original"]:
        shown |= {f"{name} before": _json(value) for name, value in letter["original"].items()}
    return shown


def _message(message: dict[str, Any]) -> dict[str, str]:
    size = {"bytes": f"{message['bytes']} (--json has them in base64)"}
    if message["headers"] is None:
        return size | {"headers": "none: these bytes are no message"}
    left_out = ("argsrepr", "kwargsrepr")
    headers = {name: value for name, value in message["headers"].items() if value is not None and name not in left_out}
    return size | {"content type": str(message["content_type"]), "headers": _json(headers)}


def _event(event: dict[str, Any]) -> str:
    what = f"  {event['at']}  {event['event']:<9}"
    if event["event"] == "died":
        error = event["error"]
        text = f"{event['reason']} after {event['attempts']} runs: {error['type']}: {error['message']}"
        return what + printable(text[:200])
    changed = {name: event[name] for name in ("args", "kwargs") if name in event}
    return what + printable(f"by {event['by']}" + (f": {_json(changed)}" if changed else ""))


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    yield ""
    yield click.style(title, bold=True)
    yield from lines


def _rows(pairs: dict[str, str]) -> Iterator[str]:
    width = max(map(len, pairs))
    return (f"  {printable(name):<{width}}  {printable(text)}" for name, text in pairs.items())


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_CHARS else f"{text[:MOST_CHARS]}… ({len(text)} characters)"
