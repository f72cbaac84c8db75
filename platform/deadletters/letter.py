"""A dead letter as its users see it (the contract's JSON), and what can be wrong about one."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec

from platform.deadletters.content import Content, content_of, headers_of
from platform.errors import PlatformError


class Reason(StrEnum):
    """Why a message will not be delivered again."""

    RETRIES_EXHAUSTED = "retries_exhausted"
    REJECTED = "rejected"
    WORKER_LOST = "worker_lost"
    TIME_LIMIT = "time_limit"
    EXPIRED = "expired"
    UNREGISTERED = "unregistered"
    UNDECODABLE = "undecodable"
    INVALID = "invalid"


class LetterState(StrEnum):
    """``DEAD`` waits for an operator; the other two are kept for a while and then forgotten."""

    DEAD = "dead"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


class UnknownLetter(PlatformError):
    """No dead letter has that id."""

    def __init__(self, letter_id: str):
        super().__init__(letter_id)
        self.letter_id = letter_id

    def __str__(self) -> str:
        return f"there is no dead letter {self.letter_id!r}; list them to see which there are"


class NotDead(PlatformError):
    """The letter was replayed or discarded; only dead ones can be edited, replayed or discarded."""

    def __init__(self, letter_id: str, state: str):
        super().__init__(letter_id, state)
        self.letter_id = letter_id
        self.state = state

    def __str__(self) -> str:
        return f"the dead letter {self.letter_id} is {self.state} already; only a dead one can be changed"


class NotReplayable(PlatformError):
    """The letter cannot go back to its queue as things are."""

    def __init__(self, letter_id: str, why: str):
        super().__init__(letter_id, why)
        self.letter_id = letter_id
        self.why = why

    def __str__(self) -> str:
        return f"the dead letter {self.letter_id} cannot be replayed: {self.why}"


class NotEditable(PlatformError):
    """The letter's bytes are no message, so that there are no arguments to change."""

    def __init__(self, letter_id: str, why: str):
        super().__init__(letter_id, why)
        self.letter_id = letter_id
        self.why = why

    def __str__(self) -> str:
        return f"the dead letter {self.letter_id} cannot be edited: {self.why}; replay it as it is, or discard it"


@dataclass(frozen=True)
class Letter:
    """A dead letter at one moment; times are ISO 8601 UTC with milliseconds.

    ``args`` and ``kwargs`` are empty where the body could not be decoded; the error says so. ``evidence`` is what
    was seen of a death by force (``signal``, ``exit_code``, ``peak_memory_bytes``, ``deaths``), or None.
    """

    dead_letter_id: str
    job_id: str | None
    task: str
    queue: str
    reason: Reason
    error: dict[str, str]
    attempts: int
    args: list[Any]
    kwargs: dict[str, Any]
    first_failed_at: str
    dead_at: str
    replayed: int
    state: LetterState
    evidence: dict[str, Any] | None
    owner: str | None
    app_id: str | None
    revision: int = field(repr=False, default=0)
    message: bytes = field(repr=False, default=b"")
    edited: bytes = field(repr=False, default=b"")

    @property
    def content(self) -> Content:
        """What is in the message as it came, whatever has been edited since."""
        return content_of(self.message, self.queue)

    def as_dict(self) -> dict[str, Any]:
        hidden = ("revision", "message", "edited")
        return {name: value for name, value in asdict(self).items() if name not in hidden}

    def in_full(self, history: list[dict[str, Any]]) -> dict[str, Any]:
        """With the message's bytes in base64 and its headers, the arguments before they were edited, and the history.

        ``message.headers`` is None where the bytes have none that can be read, ``original`` where nothing was edited.
        """
        content = self.content
        message = {
            "base64": base64.b64encode(self.message).decode(),
            "bytes": len(self.message),
            "content_type": content.envelope.content_type if content.envelope else None,
            "headers": headers_of(self.message),
        }
        original = {"args": content.args, "kwargs": content.kwargs} if self.edited else None
        return self.as_dict() | {"original": original, "message": message, "history": history}


def from_hash(letter_id: str, fields: Mapping[bytes, bytes]) -> Letter:
    """Read a letter's hash, as bytes; the message in it is whatever came."""
    text = {name.decode(): _text(value) for name, value in fields.items()}
    message, edited = fields.get(b"message", b""), fields.get(b"edited", b"")
    shown = msgspec.json.decode(edited) if edited else None
    found = content_of(message, text.get("queue", "")) if shown is None else None
    error = _json(text.get("error")) or {"type": "", "message": ""}
    if found is not None and found.problem and text["reason"] != Reason.UNDECODABLE:
        error = error | {"message": f"{error['message']} (its arguments are undecodable: {found.problem})"}
    return Letter(
        dead_letter_id=letter_id,
        job_id=text.get("job_id") or None,
        task=text.get("task", ""),
        queue=text.get("queue", ""),
        reason=Reason(text["reason"]),
        error=error | {"traceback": text.get("traceback", "")},
        attempts=int(text.get("attempts") or 0),
        args=shown[0] if shown else found.args if found else [],
        kwargs=shown[1] if shown else found.kwargs if found else {},
        first_failed_at=moment(text["first_failed_at"]),
        dead_at=moment(text["dead_at"]),
        replayed=int(text.get("replayed") or 0),
        state=LetterState(text["state"]),
        evidence=_json(text.get("evidence")),
        owner=text.get("owner") or None,
        app_id=text.get("app_id") or None,
        revision=int(text.get("revision") or 0),
        message=message,
        edited=edited,
    )


def moment(milliseconds: str | int) -> str:
    """ISO 8601 in UTC of milliseconds since 1970."""
    found = datetime.fromtimestamp(int(milliseconds) / 1000, tz=UTC)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _json(text: str | None) -> Any:
    return msgspec.json.decode(text) if text else None
