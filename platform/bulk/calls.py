"""What an item of many says: a task, its arguments, perhaps an id and options of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from celery import Task
from celery.canvas import Signature
from celery.exceptions import NotRegistered
from celery.local import maybe_evaluate

from platform.errors import PlatformError, did_you_mean

#: Members of an item that is a dict; any other is an option of ``apply_async``.
OWN = ("task", "args", "kwargs", "task_id")
#: Options that say whose job it is, or how often it is tried; they travel as headers.
AS_HEADERS = ("owner", "app_id", "max_retries")
OPTIONS = frozenset(
    {
        *("queue", "priority", "countdown", "eta", "expires", "headers", "serializer", "compression", "exchange"),
        *("routing_key", "link", "link_error", "shadow", "retry", "retry_policy", "time_limit", "soft_time_limit"),
        *("ignore_result", "delivery_mode", "declare", "root_id", "parent_id", "group_id", "group_index", "chord"),
        *("chain", "reply_to", "argsrepr", "kwargsrepr", "origin", "timeout", "confirm_timeout", "exchange_type"),
        *AS_HEADERS,
    }
)


class NotAnItem(PlatformError, TypeError):
    """An item from which no job can be made; the message says what it is and what to write."""


@dataclass(slots=True)
class Call:
    """One job to be. ``options`` are those of ``apply_async`` and ``AS_HEADERS``; calls that say nothing of their own
    share one object. ``signature`` is what the item was, where it has to be applied itself."""

    task: Any
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    task_id: str | None
    options: Mapping[str, Any]
    signature: Signature | None = None

    def apply(self, job_id: str) -> Any:
        """As Celery would by itself; not one of its parent's children, of which there would be a million."""
        headers = dict(self.options.get("headers") or {})
        headers |= {name: self.options[name] for name in AS_HEADERS if self.options.get(name) is not None}
        options = {name: value for name, value in self.options.items() if name not in AS_HEADERS}
        options |= {"task_id": job_id, "add_to_parent": False} | ({"headers": headers} if headers else {})
        if self.signature is not None:
            return self.signature.apply_async(**options)
        return self.task.apply_async(self.args, self.kwargs, **options)


class Reader:
    """Reads items. ``task`` is for those that name none: a task or its name; ``options`` are for all of them."""

    def __init__(self, app: Any, task: Any, options: Mapping[str, Any]):
        self._app = app
        self._task = None if task is None else self._known(task)
        self.options = check_options(options)

    def read(self, item: Any) -> Call:
        """Raises NotAnItem, NotRegistered."""
        kind = type(item)
        if kind is tuple or kind is list:
            return Call(self._task or self._known(None), item, {}, None, self.options)
        if isinstance(item, Signature):
            return self._of_signature(item)
        if isinstance(item, Mapping):
            return self._of_mapping(item)
        if isinstance(item, tuple | list):
            return Call(self._task or self._known(None), tuple(item), {}, None, self.options)
        raise NotAnItem(
            f"{_shown(item)} is no item: write a tuple of arguments, (x,) for one; a dict with args, kwargs and "
            "options; or a signature"
        )

    def _of_signature(self, item: Signature) -> Call:
        if type(item) is not Signature:
            raise NotAnItem(f"a {type(item).__name__.strip('_')} is more than one job; submit it by itself")
        task = self._app.tasks.get(item.task)
        own = dict(item.options)
        task_id = own.pop("task_id", None)
        options = self.options if not own else {**self.options, **own}
        return Call(task or self._known(item.task), item.args, item.kwargs, task_id, options, item)

    def _of_mapping(self, item: Mapping[str, Any]) -> Call:
        own = {name: value for name, value in item.items() if name not in OWN}
        task = self._known(item["task"]) if "task" in item else self._task or self._known(None)
        args, kwargs = item.get("args", ()), item.get("kwargs", {})
        if not isinstance(args, tuple | list) or not isinstance(kwargs, Mapping):
            raise NotAnItem("an item's args are a list or a tuple, its kwargs a dict")
        options = self.options if not own else {**self.options, **check_options(own)}
        return Call(task, args, kwargs, item.get("task_id"), options)

    def _known(self, task: Any) -> Any:
        if task is None:
            raise NotAnItem("this item names no task, and neither does the call")
        if not isinstance(task, str):
            found = maybe_evaluate(task)
            if not isinstance(found, Task):
                raise NotAnItem(f"{_shown(task)} is no task; give one that @app.task made, or its name")
            return found
        if task not in self._app.tasks:
            raise NotRegistered(f"there is no task {task!r}{did_you_mean(task, self._app.tasks)}")
        return self._app.tasks[task]


def check_options(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options that say something. Raises NotAnItem for one that does not exist."""
    for name in options:
        if name not in OPTIONS:
            raise NotAnItem(f"there is no option {name!r}{did_you_mean(str(name), OPTIONS)}")
    return {name: value for name, value in options.items() if value is not None}


def _shown(item: Any) -> str:
    text = repr(item)
    return text if len(text) < 40 else f"{text[:36]} …"
