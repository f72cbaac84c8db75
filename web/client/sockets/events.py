"""What happened, as it is given to whoever follows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from web.client.models import Batch, Job


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened on a channel; ``data`` is what it is about, ``offset`` its place there.

    Without an offset it is not kept: whoever is away misses it. Of this very class are events that this SDK does not
    know; ``data`` is then JSON as it came.
    """

    event: str
    channel: str
    offset: int | None = None
    data: Any = None


class DocumentEvent(Event, frozen=True, kw_only=True):
    """Something happened to the document ``id`` of the type ``model``, and made its ``version``."""

    model: str
    id: str
    version: int


class ModelCreated(DocumentEvent, frozen=True, kw_only=True):
    """A document came to be, or ``entered``: it was there, and came to pass the filter."""

    data: dict[str, Any]
    entered: bool = False

    @property
    def document(self) -> dict[str, Any]:
        """With its system fields, as ``GET /model/{type}/{id}`` answers it."""
        return self.data


class ModelUpdated(DocumentEvent, frozen=True, kw_only=True):
    """A document was changed; see ``document_after``."""

    data: list[dict[str, Any]]

    @property
    def operations(self) -> Sequence[Mapping[str, Any]]:
        """JSON Patch with lists: ``{"op": "replace", "path": ["a", "b"], "value": [1]}``."""
        return self.data

    @property
    def is_resync(self) -> bool:
        """Whether it carries the whole document, because versions before it never came."""
        return len(self.data) == 1 and self.data[0].get("op") == "replace" and self.data[0].get("path") == []


class ModelDeleted(DocumentEvent, frozen=True, kw_only=True):
    """A document is gone, or ``left``: it is there, and does not pass the filter any more."""

    data: dict[str, Any]
    left: bool = False


class JobChanged(Event, frozen=True, kw_only=True):
    """A job as it is now; states that came and went meanwhile are not told."""

    data: Job

    @property
    def job(self) -> Job:
        return self.data


class BatchChanged(Event, frozen=True, kw_only=True):
    """A batch as it is now; what it was meanwhile is not told."""

    data: Batch

    @property
    def batch(self) -> Batch:
        return self.data


class Message(Event, frozen=True, kw_only=True):
    """Something was said in a room."""

    room: str


class Gap(Event, frozen=True, kw_only=True):
    """Some of what happened on the channel is gone and cannot be told: read again what you show.

    It comes before what is still kept, in its place among the other events.
    """

    event: str = "gap"


class Ended(Event, frozen=True, kw_only=True):
    """After a reconnect the server does not let the channel be followed any more; the subscription's last event."""

    event: str = "ended"
    code: str
    message: str


KINDS: dict[str, type[Event]] = {
    "model_created": ModelCreated,
    "model_updated": ModelUpdated,
    "model_deleted": ModelDeleted,
    "job": JobChanged,
    "batch": BatchChanged,
    "message": Message,
}


def event_of(frame: Mapping[str, Any]) -> Event:
    """A data frame as an event; one that is not as this SDK knows it comes as a plain Event.

    Raises msgspec.ValidationError for what is no data frame.
    """
    try:
        return msgspec.convert(frame, KINDS.get(frame["event"], Event))
    except msgspec.ValidationError:
        return msgspec.convert(frame, Event)
