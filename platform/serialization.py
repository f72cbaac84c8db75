"""JSON on the wire: msgspec under a content type of its own.

Kombu's default JSON gives ``{"__type__": …, "__value__": …}`` a meaning, so a user's own data can change
type or make a message undecodable; this one gives no key a meaning. Dates, UUIDs and decimals travel as
strings, bytes as base64, sets and tuples as lists. Pickle and YAML are refused by ``accept_content``.
"""

from __future__ import annotations

from typing import Any

import msgspec
from kombu.exceptions import EncodeError
from kombu.serialization import register

NAME = "platform-json"
CONTENT_TYPE = "application/x-platform+json"


class NotJSON(EncodeError):
    """A value cannot be written as JSON; the message names its type."""


class TooLarge(EncodeError):
    """A value's JSON is larger than allowed."""


def _plain(value: Any) -> Any:
    """msgspec refuses subclasses of str and int (markupsafe.Markup, IntEnum members of other libraries)."""
    for plain in (str, int, float):
        if isinstance(value, plain):
            return plain(value)
    if hasattr(value, "keys") and hasattr(value, "__getitem__"):
        return {key: value[key] for key in value}
    raise NotImplementedError(f"{type(value).__module__}.{type(value).__qualname__} has no JSON form")


_encoder = msgspec.json.Encoder(enc_hook=_plain)
_canonical_encoder = msgspec.json.Encoder(enc_hook=_plain, order="deterministic")
_decoder = msgspec.json.Decoder()


def encodable(text: str) -> str:
    """The text, with what UTF-8 has no bytes for (lone surrogates, as of an undecodable file name) as ``\\udce9``."""
    return text.encode(errors="backslashreplace").decode()


def encode(value: Any) -> bytes:
    """Raises NotJSON."""
    return _encoded(_encoder, value)


def _encoded(encoder: msgspec.json.Encoder, value: Any) -> bytes:
    try:
        return encoder.encode(value)
    except (TypeError, ValueError, NotImplementedError, RecursionError, msgspec.MsgspecError) as exc:
        raise NotJSON(f"not JSON: {exc}") from exc


def canonical(value: Any) -> bytes:
    """The same bytes for equal values: objects by their keys, sets in order. Raises NotJSON."""
    return _encoded(_canonical_encoder, value)


def decode(data: bytes | str) -> Any:
    """Raises ValueError, for nesting too deep as well."""
    try:
        return _decoder.decode(data)
    except RecursionError as exc:
        raise ValueError("the JSON is nested too deeply") from exc


def encode_bounded(value: Any, max_bytes: int, what: str) -> bytes:
    """Raises NotJSON or TooLarge, naming ``what``."""
    try:
        data = encode(value)
    except NotJSON as exc:
        raise NotJSON(f"{what} is {exc}") from exc
    if len(data) > max_bytes:
        raise TooLarge(f"{what} is {len(data)} bytes of JSON; at most {max_bytes} are kept (PLATFORM_RESULT_MAX_BYTES)")
    return data


register(NAME, encode, decode, content_type=CONTENT_TYPE, content_encoding="utf-8")
