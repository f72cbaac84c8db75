"""A document kept up to date by the events of a subscription."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jsonpatch import JsonPatch, JsonPatchException
from jsonpointer import JsonPointer, JsonPointerException

from web.client.sockets.errors import OutOfStep
from web.client.sockets.events import DocumentEvent, ModelCreated, ModelDeleted, ModelUpdated


def document_after(document: Mapping[str, Any] | None, event: DocumentEvent) -> dict[str, Any] | None:
    """The document after the event; None: it is not there, or not among those that are followed.

    ``document`` does not change. An event that it has behind it, because it was read later, leaves it as it is. Its
    ``version`` becomes the event's; ``updatedAt`` stays that of the last time the whole document came.
    Raises OutOfStep if the event is not the next one.
    """
    if document is not None and event.version < document["version"]:
        return dict(document)
    match event:
        case ModelCreated():
            return dict(event.document)
        case ModelDeleted():
            return None
        case ModelUpdated():
            return _updated(document, event)
    return None if document is None else dict(document)


def _updated(document: Mapping[str, Any] | None, event: ModelUpdated) -> dict[str, Any]:
    if event.is_resync:
        return dict(event.operations[0]["value"][0])
    if document is not None and document["version"] == event.version:
        return dict(document)
    if document is None or document["version"] != event.version - 1:
        found = "nothing" if document is None else f"version {document['version']}"
        raise OutOfStep(f"{event.model} {event.id} became version {event.version}, and here is {found}; read it again")
    return {**applied(document, event.operations), "version": event.version}


def applied(document: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """The document after operations whose paths and values are lists; it does not change. Raises OutOfStep."""
    try:
        return JsonPatch([_as_pointers(operation) for operation in operations]).apply(document)
    except (JsonPatchException, JsonPointerException, TypeError) as exc:
        raise OutOfStep(f"the change does not fit the document ({exc}); read it again") from exc


def _as_pointers(operation: Mapping[str, Any]) -> dict[str, Any]:
    found = {"op": operation["op"], "path": JsonPointer.from_parts(operation["path"]).path}
    if "from" in operation:
        found["from"] = JsonPointer.from_parts(operation["from"]).path
    if "value" in operation:
        [found["value"]] = operation["value"]
    return found
