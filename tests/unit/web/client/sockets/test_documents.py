from __future__ import annotations

from typing import Any

import pytest

from platform.documents.patch import applied as as_stored
from platform.documents.patch import as_frames
from tests.unit.web.client.sockets.conftest import TASKS, created
from web.client import ModelUpdated, OutOfStep, document_after
from web.client.sockets.documents import applied
from web.client.sockets.events import DocumentEvent, event_of

DOCUMENT = {"id": "t-1", "version": 1, "title": "bread", "tags": ["a", "b"], "place": {"a/b": 1, "~": {"x": 1}}}


def updated(version: int, *operations: dict[str, Any]) -> DocumentEvent:
    about = {"model": "task", "id": "t-1", "version": version, "channel": TASKS, "offset": version}
    event = event_of({"event": "model_updated", "data": list(operations), **about})
    assert isinstance(event, ModelUpdated)
    return event


def deleted(version: int, **more: bool) -> DocumentEvent:
    about = {"model": "task", "id": "t-1", "version": version, "channel": TASKS, "offset": version}
    event = event_of({"event": "model_deleted", "data": {}, **about, **more})
    assert isinstance(event, DocumentEvent)
    return event


TITLE = {"op": "replace", "path": ["title"], "value": ["milk"]}


def test_a_change_is_applied_and_counted() -> None:
    assert document_after(DOCUMENT, updated(2, TITLE)) == {**DOCUMENT, "title": "milk", "version": 2}
    assert DOCUMENT["title"] == "bread"


def test_a_new_document_is_what_it_says() -> None:
    event = event_of(created(11))
    assert isinstance(event, DocumentEvent)
    assert document_after(None, event) == event.data


@pytest.mark.parametrize("more", [{}, {"left": True}])
def test_one_that_is_gone_or_left_is_none(more: dict[str, bool]) -> None:
    assert document_after(DOCUMENT, deleted(2, **more)) is None
    assert document_after(None, deleted(2, **more)) is None
    assert document_after({**DOCUMENT, "version": 2}, deleted(2, **more)) is None


def test_what_is_behind_it_changes_nothing() -> None:
    newer = {**DOCUMENT, "version": 5}
    for event in (updated(5, TITLE), updated(3, TITLE), deleted(4)):
        assert document_after(newer, event) == newer


def test_a_resync_is_taken_from_any_version() -> None:
    resync = updated(9, {"op": "replace", "path": [], "value": [{**DOCUMENT, "version": 9}]})
    assert document_after(DOCUMENT, resync) == {**DOCUMENT, "version": 9}
    assert document_after(None, resync) == {**DOCUMENT, "version": 9}


def test_a_change_that_is_not_the_next_one_is_told() -> None:
    with pytest.raises(OutOfStep, match="became version 3, and here is version 1"):
        document_after(DOCUMENT, updated(3, TITLE))
    with pytest.raises(OutOfStep, match="here is nothing"):
        document_after(None, updated(3, TITLE))


def test_a_change_that_does_not_fit_is_told() -> None:
    with pytest.raises(OutOfStep, match="does not fit"):
        document_after(DOCUMENT, updated(2, {"op": "remove", "path": ["nothing", "here"]}))


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/tags/-", "value": "c"},
        {"op": "add", "path": "/tags/0", "value": [1]},
        {"op": "add", "path": "/n", "value": None},
        {"op": "remove", "path": "/tags/1"},
        {"op": "remove", "path": "/place/a~1b"},
        {"op": "replace", "path": "/place/~0/x", "value": {"y": []}},
        {"op": "move", "from": "/tags/0", "path": "/first"},
        {"op": "copy", "from": "/place/~0", "path": "/place/again"},
        {"op": "test", "path": "/title", "value": "bread"},
    ],
    ids=lambda operation: f"{operation['op']} {operation['path']}",
)
def test_every_operation_does_what_it_did_in_the_store(operation: dict[str, Any]) -> None:
    assert applied(DOCUMENT, as_frames([operation], [TASKS])) == as_stored(DOCUMENT, [operation], 10_000)
