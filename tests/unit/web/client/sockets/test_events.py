from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.unit.web.client.conftest import job
from tests.unit.web.client.sockets.conftest import TASKS, created, message
from web.client import BatchChanged, Event, Job, JobChanged, Message, ModelCreated, ModelDeleted, ModelUpdated
from web.client.sockets.events import event_of

ABOUT = {"model": "task", "id": "t-1", "version": 2, "channel": TASKS, "offset": 11}
UPDATE = [{"op": "replace", "path": ["status"], "value": ["done"], "metadata": {"channels": [TASKS]}}]


def test_a_document_comes_whole() -> None:
    event = event_of({**created(11), "entered": True})
    assert isinstance(event, ModelCreated)
    assert (event.id, event.version, event.document["title"], event.entered) == ("t-1", 1, "bread", True)


def test_a_change_comes_as_operations() -> None:
    event = event_of({"event": "model_updated", "data": UPDATE, **ABOUT})
    assert isinstance(event, ModelUpdated)
    assert (event.operations, event.is_resync) == (UPDATE, False)


def test_a_resync_says_so() -> None:
    whole = [{"op": "replace", "path": [], "value": [{"id": "t-1"}]}]
    event = event_of({"event": "model_updated", "data": whole, **ABOUT})
    assert isinstance(event, ModelUpdated)
    assert event.is_resync


def test_a_document_that_left_is_told_from_one_that_is_gone() -> None:
    gone, left = (event_of({"event": "model_deleted", "data": {}, **ABOUT, **m}) for m in ({}, {"left": True}))
    assert isinstance(gone, ModelDeleted)
    assert isinstance(left, ModelDeleted)
    assert (gone.left, left.left) == (False, True)


def test_a_job_is_the_job_of_the_rest_of_the_sdk() -> None:
    event = event_of({"event": "job", "channel": "app:myapp:job:j-1", "offset": 4, "data": job(state="running")})
    assert isinstance(event, JobChanged)
    assert isinstance(event.job, Job)
    assert event.data is event.job
    assert (event.job.state, event.job.created_at and event.job.created_at.year) == ("running", 2026)


def test_batches_and_messages_are_what_they_carry() -> None:
    told = {"batch_id": "b-1", "task": "shop.square", "state": "running", "total": 9, "done": 4}
    batch = event_of({"event": "batch", "channel": "c", "offset": 1, "data": told})
    said = event_of(message(3, {"text": "hi"}))
    assert isinstance(batch, BatchChanged)
    assert isinstance(said, Message)
    assert (batch.batch.batch_id, batch.batch.done, batch.batch.is_final) == ("b-1", 4, False)
    assert (said.room, said.data) == ("lobby", {"text": "hi"})


@pytest.mark.parametrize(
    "frame",
    [
        {"event": "model_praised", "channel": "c", "offset": 1, "data": 3},
        {"event": "job", "channel": "c", "offset": 1, "data": {"shape": "new"}},
    ],
)
def test_what_this_sdk_does_not_know_comes_as_it_is(frame: dict[str, Any]) -> None:
    event = event_of(frame)
    assert type(event) is Event
    assert event.data == frame["data"]


def test_what_has_no_channel_is_no_event() -> None:
    with pytest.raises(msgspec.ValidationError):
        event_of({"event": "message", "data": 1})
