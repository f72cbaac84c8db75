"""What happened on a channel: for a reader who was away, or who wants what is still kept.

Join first (``platform.routing.subscriptions``), then read, then pass on what is heard live with a later offset: nothing
is missed so and nothing comes twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from platform.documents.filters import Filter
from platform.errors import PlatformError
from platform.streams.delivery import Position, Streams, streams
from platform.streams.event import from_fields, other_frame, placed
from platform.streams.names import view_of

#: Frames given at once, unless a caller says otherwise.
MOST_FRAMES = 1_000
#: ``since`` of whoever wants the last entry alone, and what follows it.
LAST = "last"
#: Largest integer that every JSON reader takes as it is.
_MOST_OFFSET = 2**53
#: Makes a frame of an entry's fields; None: it is not for this reader.
Framing = Callable[[Mapping[str, str]], str | None]


class BadPosition(PlatformError):
    """``since`` is no place in a stream."""

    def __init__(self, since: object):
        super().__init__(since)
        self.since = since

    def __str__(self) -> str:
        return (
            'since is {"epoch": …, "offset": …} as last seen, 0 for everything still kept, or, except of documents, '
            '"last" for the last one alone'
        )


class Frame(NamedTuple):
    """A data frame, ready to be sent, and its offset."""

    offset: int
    text: str


@dataclass
class History:
    """Frames in their order, and where whoever has read them stands: ``epoch`` and ``offset``.

    ``recovered``: nothing that happened between ``since`` and there has been forgotten. ``is_complete`` False: there is
    more, to be read from there.
    """

    epoch: str = ""
    offset: int = 0
    recovered: bool = True
    is_complete: bool = False
    frames: list[Frame] = field(default_factory=list)


class Entries(NamedTuple):
    """Entries of a stream by offset, and where whoever has read them stands.

    ``is_whole``: nothing between that and ``since`` has been forgotten. ``is_complete`` False: there is more.
    """

    position: Position
    is_whole: bool
    is_complete: bool
    kept: Sequence[tuple[int, Mapping[str, str]]]


class Histories:
    """Reads streams. Raises BrokerUnavailable."""

    def __init__(self, kept: Streams):
        self.streams = kept

    def read(self, channel: str, since: Any, filter: Filter | None = None, limit: int = MOST_FRAMES) -> History:
        """What followers of a channel of documents, with that filter, were told after ``since``; up to ``limit``.

        The filter is tested as it was when the change happened: who reads this is told of documents that entered and
        left what they see. ``since`` of an epoch that has passed is not recovered; what is kept after its offset comes
        all the same, for offsets grow over epochs. Raises BadChannel,
        BadPosition.
        """
        view, test = view_of(channel), filter.matches if filter else None

        def framing(fields: Mapping[str, str]) -> str | None:
            event = from_fields(view.stream, fields)
            kind = event.kind(test)
            return event.frame(kind) if kind else None

        return self._read(view.stream, (view.id, view.user_id), channel, position_of(since), framing, limit)

    def read_other(self, stream: str, channel: str, since: Any, limit: int = MOST_FRAMES) -> History:
        """The same of a stream that holds no documents; ``channel`` is what its frames are to say."""

        def framing(fields: Mapping[str, str]) -> str:
            return other_frame(fields["event"], fields["data"], fields.get("room", ""))

        return self._read(stream, ("", ""), channel, position_of(since), framing, limit)

    def now(self, stream: str) -> Position:
        """Where whoever begins to follow a stream stands: behind all that is in it."""
        epoch, last, *_ = self.streams.part(stream, _MOST_OFFSET, "+", "", "")
        return Position(epoch, last)

    def entries(self, stream: str, since: Position) -> Entries:
        """What a stream was given after ``since``, whoever it was for; up to some hundred entries."""
        epoch, last, gone, upto, entries = self.streams.part(stream, since.offset, "+", "", "")
        kept = [(int(name.removesuffix("-0")), dict(zip(flat[::2], flat[1::2], strict=True))) for name, flat in entries]
        is_whole = since.epoch in ("", epoch) and gone <= since.offset
        return Entries(Position(epoch, upto), is_whole, upto >= last, kept)

    def _read(
        self, stream: str, of: tuple[str, str], channel: str, since: Position, framing: Framing, limit: int
    ) -> History:
        read, end = History(offset=since.offset), "+"
        while not read.is_complete and len(read.frames) < limit:
            epoch, last, gone, upto, entries = self.streams.part(stream, read.offset, end, *of)
            if end == "+":
                # Up to what is there now: whoever reads a busy stream would never come to its end.
                end, read.epoch = str(last), epoch
                read.recovered = since.epoch in ("", epoch) and since.offset <= last
            read.recovered = read.recovered and epoch == read.epoch and read.offset >= gone
            is_whole = _take(read, entries, channel, framing, limit)
            read.offset = upto if is_whole else read.frames[-1].offset
            read.is_complete = is_whole and upto >= int(end)
        return read


def _take(read: History, entries: Sequence[Any], channel: str, framing: Framing, limit: int) -> bool:
    """Add the frames of entries; False when the limit left some out."""
    for name, flat in entries:
        if len(read.frames) == limit:
            return False
        offset = int(name.removesuffix("-0"))
        frame = framing(dict(zip(flat[::2], flat[1::2], strict=True)))
        if frame is not None:
            read.frames.append(Frame(offset, placed(frame, channel, offset)))
    return True


def history(channel: str, since: Any, filter: Filter | None = None, limit: int = MOST_FRAMES) -> History:
    """``Histories.read`` of this process's streams."""
    return Histories(streams()).read(channel, since, filter, limit)


def position_of(since: Any) -> Position:
    """``since`` as readers write it: a position, the same as an object, or 0 for the beginning. Raises BadPosition."""
    if isinstance(since, Position):
        return since
    if since == 0 and isinstance(since, int) and not isinstance(since, bool):
        return Position("", 0)
    try:
        position = msgspec.convert(since, Position)
    except msgspec.ValidationError as exc:
        raise BadPosition(since) from exc
    if not position.epoch or not 0 <= position.offset <= _MOST_OFFSET:
        raise BadPosition(since)
    return position
