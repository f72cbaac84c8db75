"""Provider operations run as jobs: ``PUT /resources/acme.shelf/box/red`` calls ``Shelf().create_or_update``.

A provider is a class with a name; declaring it registers it. Its operations run on the ``offload`` queue and their
outcome is kept by ``tasks.resources``, so reading a resource never waits for its provider.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from celery import current_task

from platform.errors import PlatformError, did_you_mean
from tasks import app, resources
from tasks.resources import Address

#: As the table of resources takes it.
MAX_NAME_CHARS = 200
NAME = re.compile(rf"[^/]{{1,{MAX_NAME_CHARS}}}")
Method = TypeVar("Method", bound=Callable[..., Any])


class UnknownProvider(PlatformError):
    """No imported module declares that provider."""

    is_permanent = True


class BadProvider(PlatformError):
    """A class of Provider has no name, or one that no address can have."""


class DuplicateProvider(PlatformError):
    """Two providers want the same name."""


class UnknownAction(PlatformError):
    """The provider has no such action."""

    is_permanent = True


class InvalidProperties(PlatformError):
    """A provider refuses these properties; raised by ``Provider.validate`` before anything is enqueued."""

    is_permanent = True


def action(method: Method) -> Method:
    """Make a provider's method callable as ``POST /resources/{provider}/{type}/{name}/{method}``.

    It gets ``type``, ``name`` and the body's fields as keyword arguments; what it returns is the job's result.
    """
    method.is_action = True  # type: ignore[attr-defined]
    return method


class Provider:
    """Subclass, give it a ``name``, write the two methods; actions as needed.

    ``class Cloud(Provider, abstract=True)`` needs none: a base for others. Raises BadProvider and DuplicateProvider
    where the class is written.

    One instance serves all jobs of a process. An operation may run more than once (a worker can die after doing
    it and before saying so), so make it repeatable: creating what is there already, deleting what is gone.
    """

    name: ClassVar[str]

    def __init_subclass__(cls, *, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not abstract:
            _register(cls)

    def validate(self, type: str, name: str, properties: dict[str, Any]) -> None:
        """Refuse bad properties before they are enqueued: raise InvalidProperties. The default accepts all."""

    def create_or_update(self, type: str, name: str, properties: dict[str, Any]) -> dict[str, Any]:
        """Make the resource so; returns it as it is to be stored."""
        raise NotImplementedError(f"provider {self.name} cannot create {type}")

    def delete(self, type: str, name: str) -> Any:
        """Remove the resource; what is returned is the job's result."""
        raise NotImplementedError(f"provider {self.name} cannot delete {type}")

    @property
    def app_id(self) -> str:
        """The tenant the operation under way is for; empty outside one."""
        return (current_task.request.headers or {}).get("app_id", "") if current_task else ""

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Report progress of the operation under way; raises JobCancelled once the job is cancelled."""
        if current_task:
            current_task.progress(done, total, message)

    def actions(self) -> list[str]:
        return sorted(name for name in dir(type(self)) if hasattr(getattr(type(self), name), "is_action"))


_providers: dict[str, Provider] = {}


def _register(cls: type[Provider]) -> None:
    name, who = cls.__dict__.get("name"), f"{cls.__module__}.{cls.__qualname__}"
    if not isinstance(name, str) or not NAME.fullmatch(name):
        wrong = "it has no name" if name is None else f"the name {name!r} cannot stand in an address"
        raise BadProvider(f'{who}: {wrong}; write name = "acme.shelf", 1 to {MAX_NAME_CHARS} characters without /')
    known = type(_providers[name]) if name in _providers else cls
    if not _is_again(known, cls):
        taken_by = f"{known.__module__}.{known.__qualname__}"
        raise DuplicateProvider(f"{who}: the name {name} is {taken_by}'s already; give one of them another name")
    _providers[name] = cls()


def _is_again(known: type[Provider], cls: type[Provider]) -> bool:
    """Whether it is the same class, of a module that was loaded again, be it by ``python -m``."""
    modules = {known.__module__, cls.__module__}
    return known.__qualname__ == cls.__qualname__ and (len(modules) == 1 or "__main__" in modules)


def find_provider(name: str) -> Provider:
    """Raises UnknownProvider."""
    found = _providers.get(name)
    if found is None:
        raise UnknownProvider(f"there is no provider {name!r}{did_you_mean(name, _providers)}")
    return found


def find_action(provider: Provider, name: str) -> Callable[..., Any]:
    """Raises UnknownAction."""
    if name not in provider.actions():
        raise UnknownAction(f"provider {provider.name} has no action {name!r}{did_you_mean(name, provider.actions())}")
    return getattr(provider, name)


def providers() -> list[Provider]:
    return [_providers[name] for name in sorted(_providers)]


CREATE, DELETE = "create_or_update", "delete"


@app.task(name="tasks.offload.run", bind=True, queue="offload")
def run(self: Any, app_id: str, provider: str, type: str, name: str, operation: str, arguments: dict[str, Any]) -> Any:
    """Carry out one operation of a provider and keep what it says of the resource."""
    address = Address(app_id, provider, type, name)
    chosen = find_provider(provider)
    if operation == CREATE:
        return resources.put(address, chosen.create_or_update(type, name, arguments), self.request.id)
    if operation == DELETE:
        result = chosen.delete(type, name)
        resources.remove(address)
        return result
    return find_action(chosen, operation)(type=type, name=name, **arguments)
