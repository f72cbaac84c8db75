"""What is told of a message that will not be delivered again, and the id of its letter."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from platform.deadletters.content import content_of, fingerprint, headers_of
from platform.deadletters.letter import Reason
from platform.queues import DEFAULT_PRIORITY

MAX_NAME_CHARS = 255
MAX_ERROR_CHARS = 2_000
MAX_TRACEBACK_CHARS = 20_000


@dataclass(frozen=True)
class Death:
    """What is known of a message that will not be delivered again.

    ``message`` is the envelope's text (``Envelope.as_text()``) or bytes that are no envelope; it may be left out where
    the delivery is held. ``error`` has ``type``, ``message`` and, if there is one, ``traceback``. ``attempts`` are the
    runs begun; the job's record knows better where there is one. ``priority``, ``owner``, ``app_id`` and ``parent_id``
    are for a job that has no record yet.
    """

    reason: Reason
    error: Mapping[str, str]
    message: bytes | str = b""
    job_id: str = ""
    task: str = ""
    queue: str = ""
    attempts: int = 0
    priority: int = DEFAULT_PRIORITY
    owner: str = ""
    app_id: str = ""
    parent_id: str = ""
    first_failed_at_ms: int | None = None
    evidence: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, message: bytes, queue: str, reason: Reason, error: Mapping[str, str], **more: Any) -> Death:
        """A death with what the message's own headers say of its job, as far as they can be read."""
        envelope, headers = content_of(message, queue).envelope, headers_of(message) or {}
        said = {"job_id": "id", "task": "task", "owner": "owner", "app_id": "app_id", "parent_id": "parent_id"}
        known = {field: headers[name] for field, name in said.items() if isinstance(headers.get(name), str)}
        priority = envelope.priority if envelope else DEFAULT_PRIORITY
        return cls(**{"priority": priority, **known, **more}, reason=reason, error=error, message=message, queue=queue)

    @property
    def message_bytes(self) -> bytes:
        return self.message if isinstance(self.message, bytes) else _utf8(self.message)

    def fields(self) -> dict[str, Any]:
        error = {"type": self.error.get("type", ""), "message": self.error.get("message", "")[:MAX_ERROR_CHARS]}
        return {
            "task": _utf8(self.task[:MAX_NAME_CHARS]),
            "queue": _utf8(self.queue[:MAX_NAME_CHARS]),
            "reason": Reason(self.reason).value,
            "error": msgspec.json.encode({name: _utf8(text).decode() for name, text in error.items()}),
            "traceback": _utf8(self.error.get("traceback", "")[-MAX_TRACEBACK_CHARS:]),
            "attempts": self.attempts,
            "priority": self.priority,
            "owner": _utf8(self.owner),
            "app_id": _utf8(self.app_id),
            "parent_id": _utf8(self.parent_id),
            "print": fingerprint(self.message_bytes),
            "evidence": msgspec.json.encode(self.evidence) if self.evidence else "",
        }


@dataclass(frozen=True)
class Parked:
    """The letter a message became. ``how`` is ``kept`` where it was one already: the same death, told again."""

    dead_letter_id: str
    how: Literal["new", "again", "kept"]


def letter_id_of(death: Death, tag: str = "") -> str:
    """The id of a message's letter: a job has one for ever, a message of no known job one for each delivery."""
    if death.job_id:
        return _id(b"job", _utf8(death.job_id))
    return _id(_utf8(death.queue), _utf8(tag), death.message_bytes)


def other_letter_id_of(death: Death) -> str:
    """The id for a message that is not the one that died as this job, though it bears the same job's id."""
    return _id(b"job", _utf8(death.job_id), fingerprint(death.message_bytes).encode())


def _id(*parts: bytes) -> str:
    return str(uuid.UUID(bytes=hashlib.sha256(b"\n".join(parts)).digest()[:16], version=5))


def _utf8(text: str) -> bytes:
    """What came as JSON may hold half a surrogate pair, which no UTF-8 does."""
    return text.encode(errors="replace")
