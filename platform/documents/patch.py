"""JSON Patch (RFC 6902): both ways of writing one, applied within bounds.

Operations come with paths as pointers (``"/a/b"``), or with paths and values as lists, the form of the data frames:
``{"op": "replace", "path": ["a", "b"], "value": [1]}``. Everywhere inside they are pointers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jsonpatch import InvalidJsonPatch, JsonPatch, JsonPatchException, JsonPatchTestFailed
from jsonpointer import JsonPointer, JsonPointerException

from platform import serialization
from platform.documents.change import SYSTEM_FIELDS
from platform.documents.depth import MAX_DEPTH, is_deeper
from platform.documents.errors import BadPatch, PatchConflict
from platform.errors import did_you_mean

#: More in one patch is a mistake or an attack; a program that needs more replaces the field.
MAX_OPERATIONS = 1_000
_OPERATIONS = JsonPatch.operations
_WITH_VALUE = ("add", "replace", "test")
_WITH_FROM = ("move", "copy")
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")  # RFC 6901, 3
_MISSING = object()


def normalised(operations: Any) -> list[dict[str, Any]]:
    """The same operations with pointers, members that RFC 6902 does not define left out.

    Judges what can be judged without the document. System fields may be tested and copied, not changed; the whole
    document may only be tested. Raises BadPatch.
    """
    if not isinstance(operations, list):
        raise BadPatch(None, "it must be a list of operations")
    if not operations:
        raise BadPatch(None, "it has no operation; say what is to change")
    if len(operations) > MAX_OPERATIONS:
        raise BadPatch(None, f"it has {len(operations)} operations; at most {MAX_OPERATIONS} are taken at once")
    return [_normalised(operation, index) for index, operation in enumerate(operations)]


def applied(document: Mapping[str, Any], operations: Sequence[Mapping[str, Any]], max_bytes: int) -> dict[str, Any]:
    """The document after the operations, which are ``normalised``; neither argument changes.

    What is copied and the outcome, as JSON, have at most ``max_bytes`` each, however small the patch that asks for it.
    Raises PatchConflict for a failed test, and BadPatch.
    """
    found = serialization.decode(serialization.encode(document))
    left = max_bytes
    for index, operation in enumerate(operations):
        if operation["op"] == "copy":
            left -= _copied_bytes(found, operation, index)
            if left < 0:
                raise BadPatch(index, f"its copies are larger than the {max_bytes} bytes a document may have")
        found = _after(found, operation, index)
    _refuse_too_large(found, max_bytes)
    return found


def as_frames(operations: Iterable[Mapping[str, Any]], channels: Sequence[str]) -> list[dict[str, Any]]:
    """The operations as data frames carry them: paths and values as lists, each with the channels it goes to."""
    return [_as_lists(operation) | {"metadata": {"channels": list(channels)}} for operation in operations]


def segments(pointer: str) -> list[str]:
    """The pointer's parts: ``"/a~1b/0"`` is ``["a/b", "0"]``."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def pointer_to(parts: Iterable[str]) -> str:
    """The opposite of ``segments``."""
    return "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in parts)


def _normalised(operation: Any, index: int) -> dict[str, Any]:
    if not isinstance(operation, dict):
        raise BadPatch(index, 'it must be an object such as {"op": "replace", "path": "/title", "value": "…"}')
    op = operation.get("op")
    if not isinstance(op, str) or op not in _OPERATIONS:
        hint = did_you_mean(str(op), _OPERATIONS) or f"; there are {', '.join(_OPERATIONS)}"
        raise BadPatch(index, f"there is no op {op!r}{hint}" if "op" in operation else "it has no op")
    found = {"op": op, "path": _pointer(operation, "path", index)}
    if op in _WITH_FROM:
        found["from"] = _pointer(operation, "from", index)
    if op in _WITH_VALUE:
        found["value"] = _value(operation, index)
    _refuse_protected(found, index)
    return _as_json(found, index)


def _as_json(operation: dict[str, Any], index: int) -> dict[str, Any]:
    """A copy as a message would carry it, so that what Python programs give cannot break a batch later."""
    try:
        return serialization.decode(serialization.encode(operation))
    except (serialization.NotJSON, ValueError) as exc:
        raise BadPatch(index, f"its value is {exc}; give what JSON has") from exc


def _pointer(operation: dict[str, Any], member: str, index: int) -> str:
    path = operation.get(member, _MISSING)
    if isinstance(path, list) and all(_is_segment(part) for part in path):
        return pointer_to(str(part) for part in path)
    if not isinstance(path, str):
        problem = "is missing" if path is _MISSING else 'is neither "/a/b" nor ["a", "b"]'
        raise BadPatch(index, f"its {member} {problem}")
    if not _POINTER.fullmatch(path):
        raise BadPatch(index, f"its {member} {path!r} is no JSON pointer; write /a/b, ~0 for ~ and ~1 for /")
    return path


def _is_segment(part: Any) -> bool:
    return isinstance(part, str) or (isinstance(part, int) and not isinstance(part, bool) and part >= 0)


def _value(operation: dict[str, Any], index: int) -> Any:
    value = operation.get("value", _MISSING)
    if value is _MISSING:
        raise BadPatch(index, "it has no value")
    if isinstance(operation["path"], list):
        if not isinstance(value, list) or len(value) != 1:
            raise BadPatch(index, "where the path is a list, the value is a list of exactly one")
        value = value[0]
    if is_deeper(value, MAX_DEPTH):
        raise BadPatch(index, f"its value is nested more than {MAX_DEPTH} deep")
    return value


def _refuse_protected(operation: dict[str, Any], index: int) -> None:
    """``from`` of a move is changed as well: what is there goes away."""
    op = operation["op"]
    changed = [] if op == "test" else [operation["path"]] + ([operation["from"]] if op == "move" else [])
    for pointer in changed:
        first = segments(pointer)[:1]
        if not first:
            raise BadPatch(index, "it would replace the whole document; name a field")
        if first[0] in SYSTEM_FIELDS:
            raise BadPatch(index, f"{first[0]} is kept by the platform and cannot be changed")
    if op == "copy" and not operation["from"]:
        raise BadPatch(index, "it would copy the whole document; name a field")


def _after(document: Any, operation: Mapping[str, Any], index: int) -> Any:
    try:
        return _OPERATIONS[operation["op"]](operation).apply(document)
    except JsonPatchTestFailed as exc:
        raise PatchConflict(index, operation["path"]) from exc
    except InvalidJsonPatch as exc:
        raise BadPatch(index, f"{exc}; see RFC 6902") from exc
    except (JsonPatchException, JsonPointerException, TypeError) as exc:
        # Not the library's words: they quote the document.
        where = operation["path"] if "from" not in operation else f"{operation['from']} → {operation['path']}"
        why = "nothing is there, or nothing that could hold it; read the document again"
        raise BadPatch(index, f"{operation['op']} at {where} is not possible: {why}") from exc


def _copied_bytes(document: Any, operation: Mapping[str, Any], index: int) -> int:
    try:
        return len(serialization.encode(JsonPointer(operation["from"]).resolve(document)))
    except (JsonPointerException, TypeError, serialization.NotJSON) as exc:
        raise BadPatch(index, f"there is nothing at {operation['from']} to copy") from exc


def _refuse_too_large(document: Any, max_bytes: int) -> None:
    if is_deeper(document, MAX_DEPTH):
        raise BadPatch(None, f"the document would be nested more than {MAX_DEPTH} deep")
    size = len(serialization.encode(document))
    if size > max_bytes:
        raise BadPatch(None, f"the document would have {size} bytes of JSON; at most {max_bytes} are stored")


def _as_lists(operation: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"op": operation["op"], "path": segments(operation["path"])}
    if "from" in operation:
        found["from"] = segments(operation["from"])
    if "value" in operation:
        found["value"] = [operation["value"]]
    return found
