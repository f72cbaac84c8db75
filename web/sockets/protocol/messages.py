"""What a client may say, as types."""

from __future__ import annotations

from typing import Any

import msgspec

from platform.errors import PlatformError, did_you_mean

Ref = int | str


class Refused(PlatformError):
    """An answer of ``type`` error. ``code`` is one of those in docs/sockets.md; ``facts`` are further members."""

    def __init__(self, code: str, message: str, facts: dict[str, Any] | None = None):
        super().__init__(code, message, facts)
        self.code, self.message, self.facts = code, message, facts or {}

    def __str__(self) -> str:
        return self.message


class _Said(msgspec.Struct, tag_field="type", forbid_unknown_fields=True, frozen=True):
    pass


class Channel(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Documents of a model; with ``id`` one of them, with ``userId`` those of one user."""

    model: str
    id: str = ""
    userId: str = ""


class Wish(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One thing to follow: exactly one of ``channel``, ``room``, ``job`` and ``batch``."""

    ref: Ref | None = None
    channel: Channel | None = None
    room: str | None = None
    job: str | None = None
    batch: str | None = None
    filter: dict[str, Any] | None = None
    since: Any = None


class Auth(_Said, tag="auth", frozen=True):
    token: str


class Subscribe(_Said, tag="subscribe", frozen=True):
    ref: Ref | None = None
    channel: Channel | None = None
    room: str | None = None
    job: str | None = None
    batch: str | None = None
    filter: dict[str, Any] | None = None
    since: Any = None

    @property
    def wish(self) -> Wish:
        return Wish(*(getattr(self, name) for name in Wish.__struct_fields__))


class Unsubscribe(_Said, tag="unsubscribe", frozen=True):
    """By the ``ref`` of the subscription, or by what was subscribed to."""

    ref: Ref | None = None
    channel: Channel | None = None
    room: str | None = None
    job: str | None = None
    batch: str | None = None

    @property
    def wish(self) -> Wish:
        return Wish(self.ref, self.channel, self.room, self.job, self.batch)


class Resume(_Said, tag="resume", frozen=True):
    subscriptions: list[Wish]
    ref: Ref | None = None


class Publish(_Said, tag="publish", frozen=True):
    room: str
    data: msgspec.Raw
    ref: Ref | None = None


class Call(_Said, tag="call", frozen=True):
    module: str
    function: str
    ref: Ref | None = None
    args: dict[str, Any] = {}


class Ping(_Said, tag="ping", frozen=True):
    ref: Ref | None = None


class Refresh(_Said, tag="refresh", frozen=True):
    token: str
    ref: Ref | None = None


Message = Auth | Subscribe | Unsubscribe | Resume | Publish | Call | Ping | Refresh
TYPES = ("auth", "subscribe", "unsubscribe", "resume", "publish", "call", "ping", "refresh")
_decoder = msgspec.json.Decoder(Message)


class _Envelope(msgspec.Struct):
    """As much of a message that does not fit as its answer needs."""

    type: Any = None
    ref: Any = None


_envelopes = msgspec.json.Decoder(_Envelope)


def ref_of(text: str) -> Ref | None:
    """The ref of a message that is not going to be understood, if it has one."""
    try:
        ref = _envelopes.decode(text).ref
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    return ref if isinstance(ref, (int, str)) else None


def read(text: str) -> Message:
    """A client's message. Raises BadMessage."""
    try:
        return _decoder.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as exc:
        raise _bad(text, exc) from exc


class BadMessage(Refused):
    """A message that cannot be understood. ``ref`` is its own, if that could be read."""

    def __init__(self, message: str, ref: Ref | None):
        super().__init__("bad_message", message)
        self.args = (message, ref)
        self.ref = ref


def _bad(text: str, why: Exception) -> BadMessage:
    try:
        envelope = _envelopes.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return BadMessage(f'a message is a JSON object with a type, such as {{"type":"ping"}}: {why}', None)
    ref = ref_of(text)
    if envelope.type is None:
        return BadMessage(f"the message has no type; use one of {', '.join(TYPES)}", ref)
    if envelope.type not in TYPES:
        return BadMessage(f"there is no type {envelope.type!r}{did_you_mean(str(envelope.type), TYPES)}", ref)
    return BadMessage(f"the {envelope.type} message does not fit: {why}", ref)
