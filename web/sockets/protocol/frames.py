"""Frames of RFC 6455 as a server writes and reads them, without extensions and without any I/O.

Nothing a client sends raises: what breaks the protocol is an event like the others, ``Violation``.
"""

from __future__ import annotations

import codecs
from enum import IntEnum

import msgspec

from platform.errors import PlatformError
from web.sockets.protocol.closing import CloseCode

FIN = 0x80
RESERVED_BITS = 0x70
MASKED = 0x80
#: Stand for a length that is in the next 2, or 8, bytes.
IN_2_BYTES, IN_8_BYTES = 126, 127
#: Of close, ping and pong (section 5.5); two of a close frame's are its code.
CONTROL_MAX_BYTES = 125


class Opcode(IntEnum):
    """What a frame is; from 8 on it is about the connection."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


# In plain integers: a member of an enumeration takes three times as long to look up, for every frame.
_CONTINUATION, _TEXT, _CLOSE, _PING = map(int, (Opcode.CONTINUATION, Opcode.TEXT, Opcode.CLOSE, Opcode.PING))
_OPCODES = frozenset(map(int, Opcode))
_new_utf8_decoder = codecs.getincrementaldecoder("utf-8")


class Text(msgspec.Struct, frozen=True, gc=False):
    """A whole message, whatever frames it came in."""

    data: str


class Binary(msgspec.Struct, frozen=True, gc=False):
    """A whole message, whatever frames it came in."""

    data: bytes


class Ping(msgspec.Struct, frozen=True, gc=False):
    """To be answered by a pong with the same bytes, at most 125."""

    data: bytes


class Pong(msgspec.Struct, frozen=True, gc=False):
    """Asked for or not; at most 125 bytes."""

    data: bytes


class Close(msgspec.Struct, frozen=True, gc=False):
    """The client sends nothing after it. ``code`` is None if it gave none, else one that may stand in a frame."""

    code: int | None
    reason: str


class Violation(msgspec.Struct, frozen=True, gc=False):
    """The client broke the protocol; what it sent from there on is not read. The fields are ``close_frame``'s."""

    code: int
    reason: str


Event = Text | Binary | Ping | Pong | Close | Violation


def text_frame(payload: bytes) -> bytes:
    """One whole message. That ``payload`` is UTF-8 is not checked. The same bytes serve any number of clients."""
    return encode(_TEXT, payload)


def close_frame(code: int, reason: str = "") -> bytes:
    """The last frame to send; as much of the reason as fits into 123 bytes of UTF-8, in whole characters."""
    fitting = reason.encode("utf-8", "replace")[: CONTROL_MAX_BYTES - 2].decode("utf-8", "ignore")
    return encode(_CLOSE, code.to_bytes(2, "big") + fitting.encode())


def encode(opcode: int, payload: bytes) -> bytes:
    """One unmasked frame that is a whole message. For close, ping and pong ``payload`` must fit into 125 bytes."""
    length = len(payload)
    if length < IN_2_BYTES:
        return bytes((FIN | opcode, length)) + payload
    if length < 1 << 16:
        return bytes((FIN | opcode, IN_2_BYTES)) + length.to_bytes(2, "big") + payload
    return bytes((FIN | opcode, IN_8_BYTES)) + length.to_bytes(8, "big") + payload


class Decoder:
    """What one client sends, from the byte after the handshake, as events.

    ``max_message_bytes`` is of one message's payload, over all its fragments. An idle decoder holds no bytes; one with
    a message under way holds that message and what the last ``feed`` brought.
    """

    __slots__ = ("_is_over", "_max_message_bytes", "_needed_bytes", "_open", "_rest")

    def __init__(self, max_message_bytes: int):
        self._max_message_bytes = max_message_bytes
        self._rest: bytes | bytearray = b""  # of a frame that has not come whole
        self._needed_bytes = 0  # with fewer in the rest, reading it again would find nothing new
        self._open: _Fragments | None = None
        self._is_over = False

    def feed(self, data: bytes | bytearray) -> list[Event]:
        """The events that these bytes complete, in order. How a stream is split into calls makes no difference.

        ``Close`` and ``Violation`` are the last event of all; whatever comes after them is ignored. A message that
        is announced as too large, or a fragment after which a text cannot become UTF-8, is not waited for.
        """
        if self._is_over:
            return []
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed_bytes:
                return []
            data, self._rest = self._rest, b""
        events: list[Event] = []
        try:
            self._read(data, events)
        except _Violated as exc:
            events.append(Violation(exc.code, exc.reason))
            self._end()
        return events

    def _read(self, data: bytes | bytearray, events: list[Event]) -> None:
        at = 0
        while end := self._read_frame(data, at, events):
            at = end
            if self._is_over:
                return
        if at < len(data):
            self._rest = bytearray(data[at:])

    def _read_frame(self, data: bytes | bytearray, at: int, events: list[Event]) -> int:
        """Where the frame at ``at`` ends, with its event appended if it makes one; 0 if it has not come whole."""
        if len(data) - at < 2:
            self._needed_bytes = 2
            return 0
        first = data[at]
        self._check(first, data[at + 1])
        begin, end = _extent(data, at)
        if end - begin > self._room_bytes() and first & 0x0F < _CLOSE:
            raise _Violated(CloseCode.TOO_BIG, f"a message may have at most {self._max_message_bytes} bytes")
        if end > len(data):
            self._needed_bytes = end - at
            return 0
        self._take(first, _unmasked(data[begin:end], data[begin - 4 : begin]), events)
        return end

    def _room_bytes(self) -> int:
        return self._max_message_bytes - (0 if self._open is None else len(self._open.payload))

    def _check(self, first: int, second: int) -> None:
        opcode = first & 0x0F
        if first & RESERVED_BITS:
            raise _Violated(CloseCode.PROTOCOL_ERROR, "a reserved bit is set, and no extension was agreed on")
        if opcode not in _OPCODES:
            raise _Violated(CloseCode.PROTOCOL_ERROR, f"opcode {opcode} is reserved")
        if not second & MASKED:
            raise _Violated(CloseCode.PROTOCOL_ERROR, "a client's frame must be masked")
        if opcode >= _CLOSE:
            if not first & FIN or second & ~MASKED > CONTROL_MAX_BYTES:
                raise _Violated(CloseCode.PROTOCOL_ERROR, "a control frame is one frame of at most 125 bytes")
        elif (opcode == _CONTINUATION) is (self._open is None):
            what = "there is nothing to continue" if opcode == _CONTINUATION else "the message before has not ended"
            raise _Violated(CloseCode.PROTOCOL_ERROR, what)

    def _take(self, first: int, payload: bytes, events: list[Event]) -> None:
        opcode = first & 0x0F
        if opcode >= _CLOSE:
            events.append(self._control(opcode, payload))
        elif self._open is None and first & FIN:
            events.append(Text(_text(payload)) if opcode == _TEXT else Binary(payload))
        else:
            self._open = self._open or _Fragments(opcode)
            self._open.add(payload)
            if first & FIN:
                events.append(self._open.joined())
                self._open = None

    def _control(self, opcode: int, payload: bytes) -> Event:
        if opcode != _CLOSE:
            return Ping(payload) if opcode == _PING else Pong(payload)
        event = _close(payload)
        self._end()
        return event

    def _end(self) -> None:
        self._is_over, self._open, self._rest = True, None, b""


class _Fragments:
    """A message whose last frame has not come."""

    __slots__ = ("_utf8", "payload")

    def __init__(self, opcode: int):
        self.payload = bytearray()
        self._utf8 = _new_utf8_decoder() if opcode == _TEXT else None

    def add(self, payload: bytes) -> None:
        self.payload += payload
        if self._utf8 is not None and not _may_go_on(self._utf8, payload):
            raise _not_utf8()

    def joined(self) -> Event:
        return Binary(bytes(self.payload)) if self._utf8 is None else Text(_text(self.payload))


def _may_go_on(utf8: codecs.IncrementalDecoder, more: bytes) -> bool:
    """Whether a text can still be UTF-8; the characters are not kept, they can take four times as much as the bytes."""
    try:
        utf8.decode(more)
    except UnicodeDecodeError:
        return False
    incomplete = utf8.getstate()[0]
    # Python waits for the third byte of a surrogate, which no byte can complete.
    return not (incomplete[:1] == b"\xed" and incomplete[1:] >= b"\xa0")


class _Violated(PlatformError):
    """Takes what the client did wrong to ``feed``, and no further."""

    def __init__(self, code: int, reason: str):
        super().__init__(code, reason)
        self.code, self.reason = code, reason


def _extent(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """Where the payload of the frame at ``at`` begins and ends; both behind ``data`` if its length has not come yet."""
    length = data[at + 1] & ~MASKED
    if length < IN_2_BYTES:
        return at + 6, at + 6 + length
    width, least = (2, IN_2_BYTES) if length == IN_2_BYTES else (8, 1 << 16)
    after = at + 2 + width
    if len(data) < after:
        return after, after
    length = int.from_bytes(data[at + 2 : after], "big")
    if not least <= length < 1 << 63:
        raise _Violated(CloseCode.PROTOCOL_ERROR, "a length must be in as few bytes as it fits into, and below 2**63")
    return after + 4, after + 4 + length


def _unmasked(payload: bytes | bytearray, mask: bytes | bytearray) -> bytes:
    """One XOR of two long integers: 0.5 µs for 100 bytes, 0.2 ms for 64 kB; up to 4 kB nothing in Python is faster."""
    length = len(payload)
    repeated = int.from_bytes((mask * (length // 4 + 1))[:length], "little")
    return (int.from_bytes(payload, "little") ^ repeated).to_bytes(length, "little")


def _close(payload: bytes) -> Close:
    if not payload:
        return Close(None, "")
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not _may_be_sent(code):
        raise _Violated(CloseCode.PROTOCOL_ERROR, "that is no close code")
    return Close(code, _text(payload[2:]))


def _may_be_sent(code: int) -> bool:
    """Section 7.4, and 1012 to 1014 as registered since; the others below 3000 are reserved, or not for frames."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def _text(payload: bytes | bytearray) -> str:
    try:
        return str(payload, "utf-8")
    except UnicodeDecodeError as exc:
        raise _not_utf8() from exc


def _not_utf8() -> _Violated:
    return _Violated(CloseCode.INVALID, "a text must be UTF-8")
