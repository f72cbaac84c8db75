"""Changes as the tests of the store ask for them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from platform.documents import store
from platform.documents.change import Change, Committed
from platform.documents.model import Model


def declare(name: str = "Note", **options: Any) -> type[Model]:
    """A model with a title, a number and anything, seen by its owner alone unless the options say otherwise."""
    annotations = {"title": str, "n": int, "tags": list[str], "extra": Any}
    fields: dict[str, Any] = {"__annotations__": annotations, "title": "", "n": 0, "tags": [], "extra": None}
    return type(Model)(name, (Model,), fields | {"__module__": __name__}, **options)  # type: ignore[no-any-return]


def create(id: str = "1", **fields: Any) -> Change:
    return asked("create", id, data=fields)


def patch(id: str, *operations: tuple[Any, ...], **more: Any) -> Change:
    """``("add", "/title", "x")``, ``("remove", "/n")``, ``("copy", "/a", "/b")``: as one reads them."""
    return asked("patch", id, patch=[_operation(*operation) for operation in operations], **more)


def delete(id: str, **more: Any) -> Change:
    return asked("delete", id, **more)


def asked(act: Any, id: str, **more: Any) -> Change:
    given = {"change_id": uuid4().hex, "app_id": "acme", "type": "note", "actor": "ann"} | more
    return Change(act=act, id=id, **given)


def _operation(op: str, *rest: Any) -> dict[str, Any]:
    names = ("from", "path") if op in {"copy", "move"} else ("path", "value")
    return {"op": op, **dict(zip(names, rest, strict=False))}


def made(*changes: Change) -> list[Committed]:
    """What was committed; a refusal is raised."""
    return [_made(outcome) for outcome in store.apply(changes)]


def refused(change: Change) -> store.ChangeRefused:
    """Why it was refused."""
    (outcome,) = store.apply([change])
    assert isinstance(outcome, store.ChangeRefused), outcome
    return outcome


def _made(outcome: Committed | store.ChangeRefused) -> Committed:
    if isinstance(outcome, store.ChangeRefused):
        raise outcome
    return outcome
