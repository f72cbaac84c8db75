"""One change made to one document in memory: no database here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from platform import serialization
from platform.documents.acceptance import Wish
from platform.documents.change import SYSTEM_FIELDS, Change, Committed
from platform.documents.errors import DocumentExists, InvalidDocument, UnknownDocument, VersionConflict
from platform.documents.filters import same
from platform.documents.model import Model, checked_fields
from platform.documents.patch import applied, pointer_to


@dataclass(frozen=True, slots=True)
class State:
    """A document at one moment; ``document`` is None after it was deleted, and before it was ever made (version 0).

    ``text`` is the document's JSON as it is stored.
    """

    user_id: str = ""
    version: int = 0
    created_ms: int = 0
    updated_ms: int = 0
    document: dict[str, Any] | None = None
    text: str | None = None


NOWHERE = State()


def may_see(model: type[Model], owner: str, reader: str | None) -> bool:
    """Whether it is the reader's to see and change; None and ``""`` are the platform itself."""
    return not reader or model.declared.visibility == "app" or owner == reader


def changed(state: State, wish: Wish, now_ms: int, max_bytes: int) -> tuple[State, Committed]:
    """The document after the change, and what to tell of it. Raises a ChangeRefused."""
    change = wish.change
    if change.act == "create":
        return _created(state, wish, now_ms, max_bytes)
    if state.document is None or not may_see(wish.model, state.user_id, change.actor):
        raise UnknownDocument(change.type, change.id)
    _check_version(change, state.version)
    if change.act == "delete":
        return _deleted(state, change, now_ms)
    return _patched(state, wish, now_ms, max_bytes)


def _created(state: State, wish: Wish, now_ms: int, max_bytes: int) -> tuple[State, Committed]:
    change = wish.change
    if state.document is not None:
        raise DocumentExists(change.type, change.id)
    if change.if_version:
        raise VersionConflict(change.type, change.id, change.if_version, 0)
    now_ms = max(now_ms, state.updated_ms)
    user_id = change.user_id or change.actor
    at = moment(now_ms)
    document = {
        "appId": change.app_id,
        "userId": user_id,
        "type": change.type,
        "id": change.id,
        "version": state.version + 1,
        "createdAt": at,
        "updatedAt": at,
        **wish.fields,
    }
    text = _text(change.type, document, max_bytes)
    after = State(user_id, state.version + 1, now_ms, now_ms, document, text)
    return after, _committed(change, state, after, document, None, [])


def _deleted(state: State, change: Change, now_ms: int) -> tuple[State, Committed]:
    after = State(state.user_id, state.version + 1, state.created_ms, max(now_ms, state.updated_ms))
    assert state.document is not None
    return after, _committed(change, state, after, state.document, state.document, [])


def _patched(state: State, wish: Wish, now_ms: int, max_bytes: int) -> tuple[State, Committed]:
    change, before = wish.change, state.document
    assert before is not None
    assert change.patch is not None
    now_ms = max(now_ms, state.updated_ms)
    document = applied(before, change.patch, max_bytes)
    operations = [operation for operation in change.patch if operation["op"] != "test"]
    operations += _corrections(wish.model, document)
    for name, value in (("version", state.version + 1), ("updatedAt", moment(now_ms))):
        document[name] = value
        operations.append({"op": "replace", "path": f"/{name}", "value": value})
    text = _text(change.type, document, max_bytes)
    after = State(state.user_id, state.version + 1, state.created_ms, now_ms, document, text)
    return after, _committed(change, state, after, document, before, operations)


def _corrections(model: type[Model], document: dict[str, Any]) -> list[dict[str, Any]]:
    """Make the patched document what its model makes of it, in place, and tell by which operations.

    Members stay where they are and new ones go to the end, as they do for a follower. Raises InvalidDocument.
    """
    fields = {name: value for name, value in document.items() if name not in SYSTEM_FIELDS}
    checked = checked_fields(model, fields)
    operations: list[dict[str, Any]] = []
    for name in [name for name in fields if name not in checked]:
        del document[name]
        operations.append({"op": "remove", "path": pointer_to([name])})
    for name, value in checked.items():
        if name not in fields or not same(fields[name], value):
            document[name] = value
            operations.append({"op": "add", "path": pointer_to([name]), "value": value})
    return operations


def _committed(
    change: Change,
    state: State,
    after: State,
    document: dict[str, Any],
    before: dict[str, Any] | None,
    operations: list[dict[str, Any]],
) -> Committed:
    return Committed(
        change_id=change.change_id,
        act=change.act,
        app_id=change.app_id,
        user_id=after.user_id,
        type=change.type,
        id=change.id,
        version=after.version,
        document=document,
        before=before,
        operations=operations,
        at_ms=change.at_ms,
        before_ms=state.updated_ms,
        notes=change.notes,
    )


def _check_version(change: Change, found: int) -> None:
    if change.if_version and change.if_version != found:
        raise VersionConflict(change.type, change.id, change.if_version, found)


def _text(type: str, document: Mapping[str, Any], max_bytes: int) -> str:
    """The document's JSON. U+0000 is refused: PostgreSQL can keep it in no text it is to search."""
    try:
        data = serialization.encode(document)
    except serialization.NotJSON as exc:
        raise InvalidDocument(type, [{"loc": [], "msg": f"what its model makes of it is {exc}"}]) from exc
    if len(data) > max_bytes:
        problem = f"it has {len(data)} bytes of JSON; at most {max_bytes} are stored (PLATFORM_DOCUMENT_MAX_BYTES)"
        raise InvalidDocument(type, [{"loc": [], "msg": problem}])
    if b"\\u0000" in data and b"\\u0000" in data.replace(b"\\\\", b""):
        raise InvalidDocument(type, [{"loc": [], "msg": "it has the character U+0000 in a text; leave it out"}])
    return data.decode()


@lru_cache(maxsize=64)
def moment(at_ms: int) -> str:
    """ISO 8601 in UTC of milliseconds since 1970."""
    found = datetime.fromtimestamp(at_ms / 1000, tz=UTC)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")
