"""Functions that HTTP and sockets may call by name: ``@function("Chat")`` on ``say`` is ``/api/Chat/say``.

A function is a Celery task like any other (named ``Chat.say``, ``say.delay(…)`` works); what is added is its place in
the registry, its arguments' check before anything is enqueued, and how long a caller waits for its answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from platform.errors import PlatformError, did_you_mean
from tasks import app
from tasks.signatures import Signature


class UnknownFunction(PlatformError):
    """There is no such module or function; the message names the nearest one."""


class DuplicateFunction(PlatformError):
    """Two functions want the same address."""


@dataclass(frozen=True)
class Function:
    """A callable's address, its Celery task, and how long a caller waits (None: ``PLATFORM_FUNCTION_WAIT_S``)."""

    module: str
    name: str
    task: Any
    signature: Signature
    wait_s: float | None
    summary: str


_functions: dict[tuple[str, str], Function] = {}


def function(module: str, *, wait_s: float | None = None, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Make the decorated function callable as ``/api/{module}/{its name}``.

    Type hints are enforced on the arguments; ``wait_s`` 0 always answers 202. Options are ``@app.task``'s,
    ``bind=True`` among them; but a function is not tried again unless ``max_retries`` says so, because a caller waits
    for it and hears what went wrong. Raises DuplicateFunction for a second one at the same address.
    """

    def register(fun: Callable[..., Any]) -> Any:
        address = (module, fun.__name__)
        known = _functions.get(address)
        if known is not None and known.signature.function.__qualname__ != fun.__qualname__:
            raise DuplicateFunction(f"/api/{module}/{fun.__name__} is taken by {known.signature.function.__module__}")
        task = app.task(**{"name": f"{module}.{fun.__name__}", "max_retries": 0, **options})(fun)
        signature = Signature(fun, skip_first=bool(options.get("bind")))
        summary = (fun.__doc__ or "").strip().partition("\n")[0]
        _functions[address] = Function(module, fun.__name__, task, signature, wait_s, summary)
        return task

    return register


def find_function(module: str, name: str) -> Function:
    """Raises UnknownFunction."""
    found = _functions.get((module, name))
    if found is None:
        known = [f"{m}/{n}" for m, n in _functions]
        raise UnknownFunction(f"there is no function {module}/{name}{did_you_mean(f'{module}/{name}', known)}")
    return found


def functions() -> list[Function]:
    """Every registered function, by address."""
    return [_functions[address] for address in sorted(_functions)]
