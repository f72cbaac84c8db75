"""What can be said of a change without the document it is about: by whoever publishes it, and again before storing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, get_args

import msgspec

from platform.documents.change import Act, Change
from platform.documents.errors import BadPatch, InvalidDocument
from platform.documents.model import Model, checked_fields, model_of
from platform.documents.patch import normalised

#: Names of tenants, users and documents. No colon: it parts them in the names of channels and keys.
APP_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
USER_ID = re.compile(r"[A-Za-z0-9_.@+-]{1,64}")
DOCUMENT_ID = re.compile(r"[A-Za-z0-9_.~-]{1,128}")
CHANGE_ID = re.compile(r"[A-Za-z0-9_.~:-]{1,128}")


def accepted(change: Change) -> Change:
    """The change, its patch with pointers, if there can be a document for which it is right.

    Raises UnknownModel, InvalidDocument and BadPatch.
    """
    return wished(change).change


@dataclass(frozen=True, slots=True)
class Wish:
    """A change in its normal form; ``fields`` are a new document's own, checked and with defaults, else empty."""

    change: Change
    model: type[Model]
    key: str
    fields: dict[str, Any]


def wished(change: Change) -> Wish:
    """What the change asks for. Raises as ``accepted`` does."""
    model = model_of(change.type)
    _check_names(change)
    fields = checked_fields(model, _given_fields(change)) if change.act == "create" else {}
    if change.act == "patch":
        change = msgspec.structs.replace(change, patch=normalised(_given_operations(change)))
    return Wish(change, model, key_of(change.app_id, change.type, change.id), fields)


def key_of(app_id: str, type: str, id: str) -> str:
    """What no two documents share."""
    return f"{app_id}:{type}:{id}"


def _given_fields(change: Change) -> dict[str, Any]:
    if not isinstance(change.data, dict):
        raise InvalidDocument(change.type, [{"loc": [], "msg": "its fields are missing; give them as an object"}])
    return change.data


def _given_operations(change: Change) -> Any:
    if change.patch is None:
        raise BadPatch(None, "it is missing; give a list of operations")
    return change.patch


def _check_names(change: Change) -> None:
    """Raises InvalidDocument."""
    wrong = [
        {"loc": [name], "msg": f"{getattr(change, name)!r} is not {rule.pattern}"}
        for name, rule in (("change_id", CHANGE_ID), ("app_id", APP_ID), ("id", DOCUMENT_ID))
        if not _fits(rule, getattr(change, name))
    ]
    wrong += [
        {"loc": [name], "msg": f"{getattr(change, name)!r} is not {USER_ID.pattern}"}
        for name in ("actor", "user_id")
        if getattr(change, name) != "" and not _fits(USER_ID, getattr(change, name))
    ]
    if change.act not in get_args(Act):
        wrong.append({"loc": ["act"], "msg": f"{change.act!r} is not one of {', '.join(get_args(Act))}"})
    if change.actor and change.user_id not in {"", change.actor}:
        wrong.append({"loc": ["user_id"], "msg": "a user makes documents for nobody else"})
    if wrong:
        raise InvalidDocument(change.type, wrong)


def _fits(rule: re.Pattern[str], name: Any) -> bool:
    return isinstance(name, str) and rule.fullmatch(name) is not None
