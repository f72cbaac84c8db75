"""A message made once for all jobs that differ in nothing but their ids and arguments."""

from __future__ import annotations

import json
import secrets
from binascii import b2a_base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quoted
from operator import attrgetter, itemgetter
from types import ModuleType
from typing import Any

import celery.app.base
import celery.app.task
import kombu.messaging
from celery import signals
from celery.utils.saferepr import saferepr

from platform.bulk.calls import Call
from platform.envelope import Envelope
from platform.jobs.facts import NewJob
from platform.publishing import AMQP
from platform.queues import route
from platform.serialization import CONTENT_TYPE, encode
from platform.task import Task

#: What every message has behind its arguments that nothing is to follow.
_NOTHING_FOLLOWS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
#: Options whose meaning does not change from one job to the next of a chunk.
_ALIKE = frozenset({"queue", "priority", "countdown", "eta", "expires", "headers", "owner", "app_id", "max_retries"})
#: Functions in whose place tracing libraries put their own.
_WRAPPABLE = (
    (celery.app.task, "Task.apply_async"),
    (celery.app.base, "Celery.send_task"),
    (kombu.messaging, "Producer.publish"),
)
_BODY, _ID, _ARGS, _KWARGS, _TAG = range(5)


def is_plain(app: Any) -> bool:
    """Whether nothing hears of each message, nor changes it on its way; signals, routers and Celery's own ways can."""
    heard = (signals.before_task_publish, signals.after_task_publish, signals.task_sent)
    conf = app.conf
    return (
        not any(signal.receivers for signal in heard)
        and not (conf.task_always_eager or conf.task_send_sent_event or conf.task_compression)
        and conf.task_protocol == 2
        and tuple(conf.task_routes or ()) == (route,)
        and type(app.amqp) is AMQP
        and "send_task" not in vars(app)
        and all(map(_is_their_own, _WRAPPABLE))
    )


def is_plain_call(call: Call) -> bool:
    """Whether the call's message follows from its task, its options and its arguments as of any other task."""
    task = call.task
    return (
        _is_stock(type(task))
        and not task.unique
        and task._dump_pydantic_arguments is None
        and not _OVERRIDABLE & vars(task).keys()
        and call.options.keys() <= _ALIKE
    )


_OVERRIDABLE = frozenset({"apply_async", "shadow_name", "_get_exec_options"})


def _is_stock(kind: type) -> bool:
    return issubclass(kind, Task) and all(getattr(kind, name) is getattr(Task, name) for name in _OVERRIDABLE)


def _is_their_own(place: tuple[ModuleType, str]) -> bool:
    module, name = place
    code = getattr(attrgetter(name)(module), "__code__", None)
    return code is not None and code.co_filename == module.__file__


def key_of(call: Call, shared: Mapping[str, Any]) -> Any:
    """Equal for calls that may have a template in common. Raises TypeError where an option is not hashable."""
    if call.options is shared:
        return call.task.name
    key = (call.task.name, *sorted(call.options.items()))
    hash(key)
    return key


@dataclass
class Template:
    """The text of an envelope with its gaps; ``job`` is what its message says of one of its jobs.

    ``is_lasting``: nothing in it counts from the time it was made.
    """

    job: NewJob
    envelope: Envelope
    is_lasting: bool
    pattern: str
    pick: Callable[[Sequence[str]], tuple[str, ...]]
    check: Callable[..., Any] | None
    most_chars: int
    most_levels: int

    def text(self, job_id: str, tag: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """Raises NotJSON; TypeError for arguments the task does not take."""
        if self.check is not None:
            self.check(*args, **kwargs)
        body = b2a_base64(encode((args, kwargs, _NOTHING_FOLLOWS)), newline=False).decode()
        kwargs_shown = '"{}"' if not kwargs else quoted(saferepr(kwargs, self.most_chars, self.most_levels))
        parts = (f'"{body}"', quoted(job_id), quoted(self._shown(args)), kwargs_shown, f'"{tag}"')
        return self.pattern % self.pick(parts)

    def _shown(self, args: Sequence[Any]) -> str:
        """As Celery shows them; its own way takes ten times as long where all is plain and short."""
        parts = []
        for value in args:
            kind = type(value)
            if kind is str:
                parts.append("'" + value.replace("'", "\\'") + "'")
            elif kind is int or kind is float or kind is bool or value is None:
                parts.append(str(value))
            else:
                return saferepr(args, self.most_chars, self.most_levels)
        text = ", ".join(parts)
        if len(text) + 3 > self.most_chars or not parts:
            return saferepr(args, self.most_chars, self.most_levels)
        if type(args) is list:
            return f"[{text}]"
        return f"({text},)" if len(parts) == 1 else f"({text})"


def template_of(call: Call, job: NewJob, envelope: Envelope, app: Any) -> Template | None:
    """Made of the message one call has; None where it would not have made just this message."""
    task, amqp = call.task, app.amqp
    pattern, order = _gapped(envelope)
    made = Template(
        job=job,
        envelope=envelope,
        is_lasting=job.ready_at_ms is None and not envelope.headers.get("expires"),
        pattern=pattern,
        pick=itemgetter(*order),
        check=getattr(task, "__header__", None) if task.typing else None,
        most_chars=amqp.argsrepr_maxsize,
        most_levels=app.conf.task_repr_maxlevels,
    )
    is_same = json.loads(made.text(job.job_id, "", call.args, call.kwargs)) == _without_tag(envelope)
    return made if is_same and envelope.content_type == CONTENT_TYPE else None


def _gapped(envelope: Envelope) -> tuple[str, tuple[int, ...]]:
    """The envelope's text with ``%s`` for what is each job's own, and in which order that comes."""
    marks = [secrets.token_hex(16) for _ in range(_TAG + 1)]
    parts = json.loads(envelope.as_text())
    job_id = parts["headers"]["id"]
    for name, value in parts["headers"].items():
        if value == job_id:
            parts["headers"][name] = marks[_ID]
    parts["headers"] |= {"argsrepr": marks[_ARGS], "kwargsrepr": marks[_KWARGS]}
    parts["properties"] |= {"correlation_id": marks[_ID], "delivery_tag": marks[_TAG]}
    text = json.dumps(parts | {"body": marks[_BODY]}).replace("%", "%%")
    order: list[int] = []
    while found := [(at, number) for number, mark in enumerate(marks) if (at := text.find(f'"{mark}"')) >= 0]:
        _, number = min(found)
        order.append(number)
        text = text.replace(f'"{marks[number]}"', "%s", 1)
    return text, tuple(order)


def _without_tag(envelope: Envelope) -> Any:
    parts = json.loads(envelope.as_text())
    parts["properties"]["delivery_tag"] = ""
    return parts
