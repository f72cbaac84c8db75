"""Channels, the streams behind them, and their keys.

A channel is what somebody follows, a stream is where what happened is kept. All documents of one type of an app are one
stream; the channel of the type, of one document, of one user's documents and of one of these are views of it: they
share epoch and offsets, so a reader of a narrow one sees gaps in the offsets, never repeats.
"""

from __future__ import annotations

from dataclasses import dataclass

from platform.documents.change import Committed
from platform.errors import PlatformError

#: Begins the name of a stream that holds no documents; no app's id does.
OTHER = ":"


class BadChannel(PlatformError):
    """The text is no channel of documents."""

    def __init__(self, channel: str):
        super().__init__(channel)
        self.channel = channel

    def __str__(self) -> str:
        return (
            f"{self.channel!r} is no channel; write app:<appId>:model:<type>, with :<id> for one document, or "
            "app:<appId>:user:<userId>:model:<type>"
        )


@dataclass(frozen=True)
class View:
    """Documents of one type of an app; of one ``user_id`` and the one with that ``id``, where these are not empty."""

    app_id: str
    type: str
    id: str = ""
    user_id: str = ""

    @property
    def channel(self) -> str:
        user = f":user:{self.user_id}" if self.user_id else ""
        document = f":{self.id}" if self.id else ""
        return f"app:{self.app_id}{user}:model:{self.type}{document}"

    @property
    def stream(self) -> str:
        return stream_of(self.app_id, self.type)

    def shows(self, user_id: str, document_id: str) -> bool:
        """Whether that document of the stream is in the view."""
        return self.user_id in ("", user_id) and self.id in ("", document_id)


def view_of(channel: str) -> View:
    """The opposite of ``View.channel``. Raises BadChannel."""
    match channel.split(":"):
        case ["app", app_id, "model", type_, *document] if app_id and type_ and len(document) < 2:
            return View(app_id, type_, *document)
        case ["app", app_id, "user", user_id, "model", type_, *document] if app_id and user_id and len(document) < 2:
            return View(app_id, type_, "".join(document), user_id)
    raise BadChannel(channel)


def stream_of(app_id: str, type_: str) -> str:
    """The stream of an app's documents of one type."""
    return f"{app_id}:{type_}"


def other_stream(kind: str, name: str) -> str:
    """A stream that holds no documents, such as a room's; never one of documents, whatever the names."""
    return f"{OTHER}{kind}:{name}"


def channels_of(change: Committed) -> list[str]:
    """The channels a change is told on, the widest first; four, or two of a document that is nobody's."""
    scopes = [f"app:{change.app_id}"]
    if change.user_id:
        scopes.append(f"{scopes[0]}:user:{change.user_id}")
    return [f"{scope}:model:{change.type}{document}" for scope in scopes for document in ("", f":{change.id}")]


def stream_key(prefix: str, stream: str) -> str:
    """The entries; an entry's offset is the first part of its id."""
    return f"{prefix}stream:{stream}"


def meta_key(prefix: str, stream: str) -> str:
    """The stream's ``epoch``, and ``last``: its latest offset."""
    return f"{prefix}streams:meta:{stream}"


def socket_channel(prefix: str, process: str) -> str:
    """The channel of Valkey on which one socket process is told what its subscribers are to get."""
    return f"{prefix}sockets:{process}"
