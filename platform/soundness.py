"""What is wrong with a message, before any of it reaches code that takes it for granted.

Celery given messages like these exits, breaks its connection or drops them without a trace
(7, 2 and 10 of 22 that were tried).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from celery.utils.time import maybe_iso8601

UNDECODABLE, INVALID = "undecodable", "invalid"


@dataclass(frozen=True)
class Flaw:
    """``reason`` is a dead letter's: undecodable (no task's message) or invalid (one that cannot be run)."""

    reason: str
    text: str


def flaw_of(message: Any) -> Flaw | None:
    """The first thing wrong with a kombu message of a task, or None."""
    headers = message.headers
    if not isinstance(headers, Mapping) or not headers:
        return Flaw(UNDECODABLE, "the message has no headers, so it names no task")
    for name in ("task", "id"):
        if not isinstance(headers.get(name), str) or not headers[name]:
            return Flaw(UNDECODABLE, f"the header {name!r} is {headers.get(name)!r}, not a text")
    return _flaw_of_body(message) or _flaw_of_headers(headers)


def _flaw_of_body(message: Any) -> Flaw | None:
    try:
        payload = message.payload
    except Exception as exc:  # noqa: BLE001 - every codec and compression has errors of its own
        return Flaw(UNDECODABLE, f"the body ({message.content_type}) cannot be read: {type(exc).__name__}: {exc}"[:500])
    if not isinstance(payload, list | tuple) or len(payload) != 3:
        return Flaw(INVALID, "the body is not a list of arguments, keyword arguments and options")
    args, kwargs, embed = payload
    if not isinstance(args, list | tuple):
        return Flaw(INVALID, f"the arguments are {type(args).__name__}, not a list")
    if not isinstance(kwargs, Mapping):
        return Flaw(INVALID, f"the keyword arguments are {type(kwargs).__name__}, not an object")
    if embed is not None and not isinstance(embed, Mapping):
        return Flaw(INVALID, f"the options in the body are {type(embed).__name__}, not an object")
    return None


def _flaw_of_headers(headers: Mapping[str, Any]) -> Flaw | None:
    for name in ("eta", "expires"):
        if not _is_time(headers.get(name)):
            return Flaw(INVALID, f"the header {name!r} is {headers[name]!r}, not an ISO 8601 time")
    if not _are_limits(headers.get("timelimit")):
        return Flaw(INVALID, f"the header 'timelimit' is {headers['timelimit']!r}, not two numbers of seconds")
    if not isinstance(headers.get("retries") or 0, int):
        return Flaw(INVALID, f"the header 'retries' is {headers['retries']!r}, not a number")
    for name in ("stamped_headers", "groups"):
        if not isinstance(headers.get(name), list | tuple | None):
            return Flaw(INVALID, f"the header {name!r} is {headers[name]!r}, not a list")
    return None


def _is_time(value: object) -> bool:
    if value is None:
        return True
    try:
        return isinstance(value, str) and maybe_iso8601(value) is not None
    except (ValueError, TypeError, AttributeError, OverflowError):
        return False


def _are_limits(value: object) -> bool:
    if value is None:
        return True
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    return all(limit is None or (isinstance(limit, int | float) and limit > 0) for limit in value)
