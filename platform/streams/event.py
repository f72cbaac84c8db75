"""What is told of one change of a document: the frames, and the entry kept in the stream.

A frame is JSON text without ``channel`` and ``offset``: it is made once, whoever gets it on whichever channel, and
``placed`` puts these behind. Whoever follows a part of the documents, chosen by a filter, is told of a change in one of
three ways (``Kind``): as it is, as a document that entered what they see, or as one that left it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import msgspec

from platform import serialization
from platform.documents.change import Act, Committed
from platform.documents.patch import as_frames
from platform.streams.names import channels_of

Kind = Literal["change", "enter", "leave"]
KINDS: tuple[Kind, ...] = get_args(Kind)
EVENTS: dict[Act, str] = {"create": "model_created", "patch": "model_updated", "delete": "model_deleted"}
ACTS = {event: act for act, event in EVENTS.items()}
#: Whether a document is among those somebody follows.
Test = Callable[[Mapping[str, Any]], bool]


class DocumentEvent(msgspec.Struct):
    """A change as its stream keeps it; ``document``, ``before`` and ``operations`` are JSON text, empty if not there.

    ``operations`` are those of an update, in the form of frames. A resync stands for versions that never came: it
    carries the whole document, and what was before it is not known.
    """

    event: str
    app_id: str
    type: str
    id: str
    user_id: str
    version: int
    document: str
    before: str = ""
    operations: str = ""
    is_resync: bool = False

    @property
    def act(self) -> Act:
        return ACTS[self.event]

    def frame(self, kind: Kind) -> str:
        """The frame for those who are to be told so."""
        if kind == "enter":
            return self._frame("model_created", self.document, ',"entered":true')
        if kind == "leave":
            return self._frame("model_deleted", self._address(), ',"left":true')
        data = {"create": self.document, "patch": self.operations, "delete": self._address()}[self.act]
        return self._frame(self.event, data)

    def kind(self, test: Test | None) -> Kind | None:
        """How those who follow the documents that pass ``test`` are told; None: not at all. No test: all documents."""
        if test is None:
            return "change"
        now = test(self.whole())
        before = bool(self.before) and test(serialization.decode(self.before))
        return kind_of(self.act, before, now, self.is_resync)

    def whole(self) -> dict[str, Any]:
        """The document."""
        found: dict[str, Any] = serialization.decode(self.document)
        return found

    def fields(self) -> list[str]:
        """Names and values of the stream's entry, one after the other."""
        return [
            *("event", self.event, "id", self.id, "user", self.user_id, "version", str(self.version)),
            *("document", self.document),
            *(("before", self.before) if self.before else ()),
            *(("operations", self.operations) if self.operations else ()),
            *(("resync", "1") if self.is_resync else ()),
        ]

    def _frame(self, event: str, data: str, more: str = "") -> str:
        facts = f'"model":{as_json(self.type)},"id":{as_json(self.id)},"version":{self.version}'
        return f'{{"event":"{event}",{facts},"data":{data}{more}}}'

    def _address(self) -> str:
        return as_json({"appId": self.app_id, "userId": self.user_id, "type": self.type, "id": self.id})


def kind_of(act: Act, before: bool, now: bool, is_resync: bool = False) -> Kind | None:
    """How followers of a part are told of a change, by whether the document was in it before and is in it now.

    A resync tells everybody: nobody knows what the part was before the gap.
    """
    if is_resync:
        return "change" if now or act == "delete" else "leave"
    if act != "patch":
        return "change" if now else None
    if before:
        return "change" if now else "leave"
    return "enter" if now else None


def of_change(change: Committed) -> DocumentEvent:
    """What is told of a change that came in its turn."""
    operations = as_frames(change.operations, channels_of(change)) if change.act == "patch" else []
    return _of(change, as_json(operations) if operations else "", is_resync=False)


def of_resync(change: Committed) -> DocumentEvent:
    """What is told of a change when those before it never came: the whole document in one operation."""
    operation = {
        "op": "replace",
        "path": [],
        "value": [change.document],
        "metadata": {"channels": channels_of(change)},
    }
    return _of(change, as_json([operation]) if change.act == "patch" else "", is_resync=True)


def from_fields(stream: str, fields: Mapping[str, str]) -> DocumentEvent:
    """The opposite of ``fields``, of an entry of that stream."""
    app_id, _, type_ = stream.partition(":")
    return DocumentEvent(
        event=fields["event"],
        app_id=app_id,
        type=type_,
        id=fields["id"],
        user_id=fields["user"],
        version=int(fields["version"]),
        document=fields["document"],
        before=fields.get("before", ""),
        operations=fields.get("operations", ""),
        is_resync="resync" in fields,
    )


def other_frame(event: str, data: str, room: str = "") -> str:
    """The frame of an event that is about no document; ``data`` is JSON text, ``room`` where it was said, if in one."""
    where = f'"room":{as_json(room)},' if room else ""
    return f'{{"event":{as_json(event)},{where}"data":{data}}}'


def placed(frame: str, channel: str, offset: int) -> str:
    """The data frame as a subscriber of the channel gets it."""
    return f'{frame[:-1]},"channel":{as_json(channel)},"offset":{offset}}}'


def as_json(value: Any) -> str:
    return serialization.encode(value).decode()


def _of(change: Committed, operations: str, is_resync: bool) -> DocumentEvent:
    has_before = change.act == "patch" and change.before is not None and not is_resync
    return DocumentEvent(
        event=EVENTS[change.act],
        app_id=change.app_id,
        type=change.type,
        id=change.id,
        user_id=change.user_id,
        version=change.version,
        document=as_json(change.document),
        before=as_json(change.before) if has_before else "",
        operations=operations,
        is_resync=is_resync,
    )
