"""Which task options and Celery keys exist, so that a misspelt one is an error and not a silent default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

from celery.app.defaults import NAMESPACES, flatten

from platform.errors import BadOption, UnknownOption, did_you_mean
from platform.limits import check_task as check_limits
from platform.queues import MAX_PRIORITY, MIN_PRIORITY
from platform.steering import RetryLater
from platform.unique import check_function, rule_of

#: Read by ``Celery.task`` and ``add_autoretry_behaviour`` themselves, or when publishing.
DECORATOR_OPTIONS = frozenset(
    {
        *("name", "base", "bind", "shared", "filter", "lazy"),
        *("pydantic", "pydantic_strict", "pydantic_context", "pydantic_dump_kwargs"),
        *("autoretry_for", "dont_autoretry_for", "retry_kwargs", "retry_backoff", "retry_backoff_max", "retry_jitter"),
        *("queue", "exchange", "routing_key", "expires", "delivery_mode", "compression", "immediate", "mandatory"),
    }
)


@cache
def _task_attributes() -> frozenset[str]:
    from platform.task import Task

    return frozenset(name for name in dir(Task) if not name.startswith("_"))


@cache
def celery_keys() -> frozenset[str]:
    """Every key Celery reads, in its lower-case spelling, with one it writes among them itself."""
    return frozenset(name for name, _ in flatten(NAMESPACES)) | {"deprecated_settings"}


def check_task_options(opts: Mapping[str, Any]) -> None:
    """Raises UnknownOption for one that neither Celery, the platform nor the task's own base class would read.

    And BadOption, BadLimit or BadUnique for a value that can never work.
    """
    base = opts.get("base")
    of_base = frozenset(dir(base)) if base else frozenset()
    check_limits(opts)
    rule_of(opts.get("unique"))
    known = DECORATOR_OPTIONS | _task_attributes() | of_base
    for name in opts:
        if name not in known:
            raise UnknownOption(f"unknown task option {name!r}{did_you_mean(name, known)}")
    _check_values(opts)


def _check_values(opts: Mapping[str, Any]) -> None:
    priority, most = opts.get("priority"), opts.get("max_retries")
    if priority is not None and not (_is_whole(priority) and MIN_PRIORITY <= priority <= MAX_PRIORITY):
        rule = f"a whole number from {MIN_PRIORITY} to {MAX_PRIORITY}, {MAX_PRIORITY} most urgent"
        raise BadOption(f"task option priority={priority!r} is not {rule}")
    if most is not None and not (_is_whole(most) and most >= 0):
        raise BadOption(f"task option max_retries={most!r} is not a whole number from 0; None is without end")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def as_attributes(opts: Mapping[str, Any]) -> dict[str, Any]:
    """The options as attributes of the task's class.

    Celery means to stop reading ``queue`` and ``priority`` there; the platform keeps them under names of its own
    and routes by them (``platform.queues.route``, ``platform.publishing``).
    """
    own = {"queue": "default_queue", "priority": "default_priority"}
    found = {own.get(name, name): value for name, value in opts.items()}
    if "autoretry_for" in found:
        found["autoretry_for"] = (*found["autoretry_for"], RetryLater)  # heard whatever else a task is tried again for
    if "unique" in found:
        found["unique"] = rule_of(found["unique"])
    if callable(found.get("limit_by")):
        found["limit_by"] = staticmethod(found["limit_by"])  # a function of the arguments, not a method
    return found


def check_task_function(opts: Mapping[str, Any], function: Any) -> None:
    """Raises BadUnique for a function that lacks an argument its options name."""
    check_function(rule_of(opts.get("unique")), function, bool(opts.get("bind")))


def check_keys(keys: Iterable[str]) -> None:
    """Raises UnknownOption for a key that Celery would never read."""
    for name in keys:
        if name not in celery_keys():
            raise UnknownOption(f"unknown Celery key {name!r}{did_you_mean(name, celery_keys())}")


def keys_of(source: Mapping[str, Any]) -> list[str]:
    """The keys a configuration module means as such: lower case, not private, not something it imported."""
    return [
        name
        for name in source
        if name.islower()
        and not name.startswith("_")
        and not isinstance(source[name], (ModuleType, FunctionType, type))
    ]
