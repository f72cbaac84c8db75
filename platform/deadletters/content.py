"""What is in a message's bytes: the envelope, and the arguments in its body. Nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any

from kombu.compression import decompress
from kombu.utils.json import loads

from platform import serialization
from platform.envelope import REPLAYS_HEADER, Envelope, from_text, replays_of

JSON_TYPES = frozenset({serialization.CONTENT_TYPE, "application/json"})
#: Headers and properties of a message's earlier life, which would end its next one or are wrong in it.
OF_AN_EARLIER_LIFE = frozenset(
    {"deaths", "x-death", "x-delivery-count", "x-first-death-exchange", "x-first-death-queue",
     "x-first-death-reason", "x-last-death-exchange", "x-last-death-queue", "x-last-death-reason",
     "given_back", "unknown_tries"}
)  # fmt: skip


@dataclass(frozen=True)
class Content:
    """``envelope`` is None for bytes that are no message; ``problem`` says why there are no arguments, or is empty.

    ``embed`` is what Celery sends along with the arguments: callbacks, the rest of a chain, the chord.
    """

    envelope: Envelope | None
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    embed: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    #: Whether the body itself could not be read, as against read and found odd.
    is_opaque: bool = False


def content_of(message: bytes, queue: str) -> Content:
    """Read a message's bytes as far as that goes; never raises."""
    try:
        envelope = from_text(message, queue)
    except ValueError as exc:
        return Content(None, problem=str(exc), is_opaque=True)
    try:
        body = _decoded(envelope)
    except Exception as exc:  # noqa: BLE001 - whatever a decoder stumbles over, these are not arguments
        return Content(envelope, problem=f"{type(exc).__name__}: {exc}"[:500], is_opaque=True)
    if not isinstance(body, list) or len(body) != 3:
        return Content(envelope, problem="the body is not a list of arguments, keyword arguments and options")
    args, kwargs, embed = body
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        return Content(envelope, problem="the arguments are not a list and an object")
    return Content(envelope, args, kwargs, embed if isinstance(embed, dict) else {})


def headers_of(message: bytes) -> dict[str, Any] | None:
    """The headers of bytes that look like an envelope, also where its other parts cannot be read; else None."""
    headers = (_parts(message) or {}).get("headers")
    return headers if isinstance(headers, dict) else None


def fingerprint(message: bytes) -> str:
    """The same for two copies of a message, whose delivery tags alone differ; empty for no bytes."""
    parts = _parts(message)
    if parts is not None and isinstance(parts.get("properties"), dict):
        parts["properties"].pop("delivery_tag", None)
        message = json.dumps(parts, sort_keys=True).encode(errors="replace")
    return hashlib.sha256(message).hexdigest()[:16] if message else ""


def _parts(message: bytes) -> dict[str, Any] | None:
    try:
        parts = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return parts if isinstance(parts, dict) else None


def with_arguments(content: Content, args: list[Any] | None, kwargs: dict[str, Any] | None) -> bytes:
    """The body with other arguments, None leaving them as they are, in the platform's own JSON. Raises NotJSON."""
    new = [content.args if args is None else args, content.kwargs if kwargs is None else kwargs]
    return serialization.encode([*new, content.embed])


def revived(envelope: Envelope, edited: bytes) -> Envelope:
    """The envelope for another life: no retry made yet, no time to wait for or to end at, the edited body if any.

    Its header ``replays`` counts these lives: what is still under way of an earlier one can be told from it.
    """
    headers = {name: value for name, value in envelope.headers.items() if name not in OF_AN_EARLIER_LIFE}
    properties = {name: value for name, value in envelope.properties.items() if name != "expiration"}
    renewed = {"retries": 0, "eta": None, "expires": None, REPLAYS_HEADER: replays_of(headers) + 1}
    fresh = replace(envelope, headers=headers | renewed, properties=properties)
    return _with_body(fresh, edited) if edited else fresh


def _with_body(envelope: Envelope, body: bytes) -> Envelope:
    stale = ("compression", "argsrepr", "kwargsrepr")
    headers = {name: value for name, value in envelope.headers.items() if name not in stale}
    return replace(
        envelope, body=body, headers=headers, content_type=serialization.CONTENT_TYPE, content_encoding="utf-8"
    )


def _decoded(envelope: Envelope) -> Any:
    if envelope.content_type not in JSON_TYPES:
        raise ValueError(f"content type {envelope.content_type!r} is not decoded, only {', '.join(sorted(JSON_TYPES))}")
    compression = envelope.headers.get("compression")
    body = decompress(envelope.body, compression) if compression else envelope.body
    if envelope.content_type == serialization.CONTENT_TYPE:
        return serialization.decode(body)
    try:
        return serialization.decode(serialization.encode(loads(body)))
    except ValueError:
        # Kombu gives some objects a meaning and refuses those it does not know; plain JSON they may still be.
        return serialization.decode(body)
