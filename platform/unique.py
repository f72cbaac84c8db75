"""Unique jobs: of equal calls of a task one is accepted, and another only when that one does not count any more.

``unique:<hash>`` in the record store names the job that stands for a call. It is written by the script call that
writes the job's record, and counts only while that record is in a state the rule covers, so nothing has to be unlocked:
a job that was cancelled, failed, expired or forgotten stands for nothing, whatever is left of the key. Equal are calls
of one task by one tenant (``app_id``) with the same arguments, however they are spelt.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Literal

from platform import serialization
from platform.errors import NotUnique, PlatformError, did_you_mean

MAX_FOR_S = 366 * 86_400


class BadUnique(PlatformError):
    """A task's ``unique`` makes no sense; the message says which part and why."""


@dataclass(frozen=True)
class Unique:
    """The rule of a task: how long a job stands for its equals, and what becomes of an equal one meanwhile.

    ``until`` "done" (the default): until it has ended. "start": until it runs; one that waits for its retry will run
    again, and counts. ``for_s``, instead of ``until``: that many seconds from its creation, unless it failed or was
    cancelled. ``on_conflict`` "return": the caller gets the job that stands; "reject": NotUnique is raised; "replace":
    that job is cancelled, or asked to stop if it runs, and the new one accepted. ``by``: the arguments that make calls
    equal, by name, or a function of the arguments that returns something JSON; None: all of them; (): none, any two
    calls are equal. Raises BadUnique.
    """

    until: Literal["start", "done"] | None = None
    for_s: float | None = None
    on_conflict: Literal["return", "reject", "replace"] = "return"
    by: str | Sequence[str] | Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        _check_choice("until", self.until, ("start", "done", None))
        _check_choice("on_conflict", self.on_conflict, ("return", "reject", "replace"))
        if self.for_s is not None:
            self._check_time()
        if isinstance(self.by, str):
            object.__setattr__(self, "by", (self.by,))
        elif isinstance(self.by, list):
            object.__setattr__(self, "by", tuple(self.by))
        if not (self.by is None or callable(self.by) or _are_names(self.by)):
            raise BadUnique(f"unique: by={self.by!r}: give the names of arguments, or a function of the arguments")

    def _check_time(self) -> None:
        seconds = self.for_s
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0.001 <= seconds <= MAX_FOR_S:
            raise BadUnique(f"unique: for_s={seconds!r} is not a number of seconds up to {MAX_FOR_S} (366 days)")
        if self.until is not None:
            raise BadUnique(
                "unique: give until or for_s, not both: a job counts until it starts or ends, or for a time"
            )

    @property
    def policy(self) -> str:
        """As the scripts know it: ``start``, ``done``, or a number of milliseconds."""
        return str(int(self.for_s * 1000)) if self.for_s is not None else self.until or "done"


def _check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
        words = [choice for choice in choices if choice is not None]
        hint = did_you_mean(value, words) if isinstance(value, str) else ""
        raise BadUnique(f"unique: {name}={value!r} is not {', '.join(words[:-1])} or {words[-1]}{hint}")


def _are_names(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(name, str) for name in value)


def rule_of(value: Any) -> Unique | None:
    """What a task's option ``unique`` means; None for a task that is not unique. Raises BadUnique."""
    if value is None or value is False:
        return None
    if value is True:
        return Unique()
    if isinstance(value, Unique):
        return value
    if not isinstance(value, Mapping):
        raise BadUnique(f"unique={value!r}: write True, or Unique(…) of tasks.unique, or a dict of its fields")
    known = [field.name for field in fields(Unique)]
    for name in value:
        if name not in known:
            hint = did_you_mean(str(name), known) or f"; there are {', '.join(known)}"
            raise BadUnique(f"unique: there is no {name!r}{hint}")
    return Unique(**value)


def check_function(rule: Unique | None, function: Callable[..., Any], is_bound: bool) -> None:
    """Raises BadUnique where the rule goes by an argument the function does not have."""
    if rule is None or rule.by is None or callable(rule.by):
        return
    parameters = list(inspect.signature(function).parameters.values())[1 if is_bound else 0 :]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters]
    for name in rule.by:
        if name not in known:
            where = getattr(function, "__name__", "the function")
            raise BadUnique(f"unique: by={name!r} is no argument of {where}{did_you_mean(name, known)}")


@dataclass(frozen=True)
class Lock:
    """What a job about to be recorded claims: ``hash`` stands for the call; times in milliseconds since 1970.

    ``expires_ms`` is when the job will not be run any more if it has not begun by then.
    """

    hash: str
    policy: str
    on_conflict: str = "return"
    expires_ms: int | None = None

    def as_text(self, action: str | int, publishing_ms: int | None = None) -> str:
        """As the scripts take it (``lock`` in jobs/lua/index.lua); the job is published until ``publishing_ms``."""
        return f"{self.policy} {self.hash} {action} {self.expires_ms or '-'} {publishing_ms or '-'}"

    def conflict(self, task: str, job_id: str) -> NotUnique:
        """What to raise for a job that is not accepted because of another one."""
        known = {"start": "has not started yet", "done": "has not ended yet"}
        why = known.get(self.policy) or f"was submitted less than {int(self.policy) / 1000:g} s ago"
        return NotUnique(f"{task} is unique, and its job {job_id} {why}; no other one was submitted", job_id)


def lock_of(
    task: Any, app_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], expires_ms: int | None = None
) -> Lock | None:
    """The lock a call of the task needs; None if the task is not unique. Raises NotJSON."""
    rule = rule_of(getattr(task, "unique", None))
    if rule is None:
        return None
    scope = [app_id, task.name, _what_counts(rule, task, args, kwargs)]
    return Lock(hashlib.sha256(serialization.canonical(scope)).hexdigest(), rule.policy, rule.on_conflict, expires_ms)


def _what_counts(rule: Unique, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    if callable(rule.by):
        return rule.by(*args, **kwargs)
    given = _arguments(_signature(task), args, kwargs)
    return given if rule.by is None else {name: given[name] for name in rule.by if name in given}


@cache
def _signature(task: Any) -> inspect.Signature:
    return inspect.signature(task.run)


def _arguments(signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """A call's arguments by name, without those that are as by default; one that does not fit, as it was written."""
    try:
        bound = signature.bind(*args, **kwargs).arguments
    except TypeError:
        return {"*": list(args), **kwargs}
    given: dict[str, Any] = {}
    for name, value in bound.items():
        parameter = signature.parameters[name]
        if parameter.kind is parameter.VAR_KEYWORD:
            given |= {(f"**{key}" if key in signature.parameters else key): more for key, more in value.items()}
        elif not _is_default(value, parameter.default):
            given[name] = value
    return given


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (type(value) is type(default) and bool(value == default))
