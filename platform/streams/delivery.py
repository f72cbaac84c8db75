"""Delivery: changes into their streams, each version of a document once and in order, and to the socket processes.

Changes may come twice, out of order and from many programs at once; one script decides. What follows the document's
last version is appended and published, and with it what had waited for it; what comes too early waits; what was there
before is dropped. Who waits is kept in Valkey, so it outlives every program. A version that does not come for
``hold_s`` is given up: the newest that waits is appended as a resync, ``model_updated`` with the one operation
``{"op":"replace","path":[],"value":[document]}``, and the line goes on from there.

A socket process hears on its own channel (``names.socket_channel``) JSON lists of
``{"frame":{…},"channel","offset","epoch","groups":[…]}``: the stream's channel, its offset and epoch, the keys of the
process's groups that get the frame. ``{"reread":true,…}`` instead of a frame: these groups joined after the change was
routed, so the process is to read their history from where it stands.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import redis

from platform import store
from platform.documents.change import Committed
from platform.jobs.ledger import ledger
from platform.leases.scripts import Script, run
from platform.settings import Settings, settings
from platform.streams.event import DocumentEvent, as_json, from_fields, of_change, of_resync, other_frame
from platform.streams.names import View, channels_of, stream_of

LUA = Path(__file__).parent / "lua"
_SHARED = (LUA / "stream.lua").read_text()
SCRIPTS = {
    name: Script(_SHARED + (LUA / f"{name}.lua").read_text())
    for name in ("append", "deliver", "history", "overdue", "resync")
}
#: Of one script call; meanwhile the server answers nobody else.
MOST_ENTRIES = 200
MOST_BYTES = 2_000_000
#: Documents with a gap looked at by one call.
MOST_OVERDUE = 50
#: Later than every join.
NOBODY_LATER = 2**53


class Entry(msgspec.Struct, omit_defaults=True):
    """A change and who is to be told of it, as ``platform.routing.route`` finds out; plain data.

    ``targets``: socket process to kind (``platform.streams.event.Kind``) to the keys of its groups. ``seen``: the
    latest join that routing knew of.
    """

    change: Committed
    targets: dict[str, dict[str, list[str]]] = msgspec.field(default_factory=dict)
    seen: int = 0


class Report(msgspec.Struct, frozen=True):
    """What became of entries. ``appended`` counts the ``released``, which had been held; ``dropped`` came again."""

    appended: int = 0
    released: int = 0
    held: int = 0
    dropped: int = 0


class Position(msgspec.Struct, frozen=True):
    """A place in a stream; offsets grow, within an epoch and over epochs."""

    epoch: str
    offset: int


_entries = msgspec.json.Decoder(list[tuple[str, list[str]]])
#: Finds the targets of changes that stand for a gap.
Reroute = Callable[[Sequence[Committed]], Sequence[Entry]]


class Streams:
    """The streams in one store. Calls may be repeated after a lost answer; safe from any thread."""

    def __init__(self, client: redis.Redis, config: Settings, patience_s: Callable[[], float] = lambda: 0.0):
        self.client, self.prefix = client, store.key_prefix(config)
        #: How long a call waits for a store that is away, in seconds.
        self.patience_s = patience_s
        self._most = config.stream_max_entries
        self._keep_ms = int(config.keep_stream_s * 1000)
        #: As long as it takes until a message that is routed, and then the one that is delivered, was given back as
        #: often as it may be: by then it has come, or is a dead letter.
        self.hold_s = 2 * config.max_deaths * config.lease_ttl_s + 12

    def deliver(self, entries: Sequence[Entry]) -> Report:
        """Append and publish each change in its turn; one script call for up to 200 entries.

        What was held is in the store: it is no failure. Raises BrokerUnavailable; then all of them may be given again.
        """
        total = [0, 0, 0, 0]
        for some in _chunks([_packed(entry) for entry in entries]):
            total = [a + b for a, b in zip(total, self._call("deliver", *some), strict=True)]
        return Report(*total)

    def append(
        self,
        stream: str,
        event: str,
        data: Any,
        *,
        channel: str = "",
        room: str = "",
        targets: Mapping[str, Sequence[str]] | None = None,
        seen: int = NOBODY_LATER,
    ) -> Position:
        """Append an event that is about no document, to one of ``names.other_stream``, which begins with it.

        ``channel`` is where it is followed, the stream's name if not given; ``targets`` are the groups of each socket
        process that get it, found when ``seen`` was the latest join. ``room`` is a member of its frame.
        """
        text, channel = as_json(data), channel or stream
        kinds = {process: {"change": as_json(keys)} for process, keys in (targets or {}).items()}
        groups = len({key for keys in (targets or {}).values() for key in keys})
        frames = {"change": other_frame(event, text, room)}
        fields = ["event", event, "data", text, *(("room", room) if room else ())]
        parts = ["", stream, as_json(channel), 0, 0, fields, frames, kinds, groups, seen, [channel]]
        offset, epoch = self._call("append", secrets.token_hex(8), msgspec.msgpack.encode(parts))
        return Position(epoch, int(offset))

    def overdue(self, reroute: Reroute) -> int:
        """Go on with documents whose missing version did not come in time; returns how many were.

        Of each the newest version that waits is appended as a resync, and the older ones are dropped: it holds the
        whole document. Any number of programs may call this at once. Nothing held is lost if one dies meanwhile.
        """
        found = self._call("overdue", MOST_OVERDUE)
        changes = [_change_of(*one) for one in found]
        entries = reroute(changes) if changes else []
        return sum(self._call("resync", _packed(entry, of_resync(entry.change))) for entry in entries)

    def part(
        self, stream: str, after: int, upto: str, document: str, user: str
    ) -> tuple[str, int, int, int, Sequence[tuple[str, Sequence[str]]]]:
        """Some of a stream's entries after an offset; for ``platform.streams.history``.

        ``upto`` is an offset or ``+``; only entries of that document and user, each empty for any. Returns the epoch,
        the latest offset, that of the latest entry that is gone, the one up to which this is all, and the entries.
        """
        epoch, last, gone, position, entries = self._call("history", stream, after, upto, document, user)
        return epoch, int(last), int(gone), int(position), _entries.decode(entries)

    def counts(self) -> dict[str, int]:
        """``appended released held dropped resyncs rereads``; and of those appended ``groups`` and ``targets``."""
        found: Any = self.client.hgetall(f"{self.prefix}streams:counts")
        return {name: int(number) for name, number in found.items()}

    def _call(self, script: str, *arguments: Any) -> Any:
        rules = (self.prefix, secrets.token_hex(8), self._most, self._keep_ms, int(self.hold_s * 1000))
        return store.insist(lambda: run(self.client, SCRIPTS[script], args=[*rules, *arguments]), self.patience_s())


def deliver(entries: Sequence[Entry]) -> Report:
    """``Streams.deliver`` of this process's streams."""
    return streams().deliver(entries)


@cache
def streams() -> Streams:
    """This process's streams."""
    return Streams(store.client(), settings(), lambda: ledger().patience_s)


def _packed(entry: Entry, event: DocumentEvent | None = None) -> bytes:
    """An entry's parts in the order in which ``stream.lua`` reads them."""
    change = entry.change
    event = event or of_change(change)
    stream = stream_of(change.app_id, change.type)
    kinds = {kind for told in entry.targets.values() for kind in told}
    targets = {process: {k: as_json(keys) for k, keys in told.items()} for process, told in entry.targets.items()}
    return msgspec.msgpack.encode(
        [
            f"{stream}:{change.id}",
            stream,
            as_json(View(change.app_id, change.type).channel),
            change.version,
            change.before_ms,
            event.fields(),
            {kind: event.frame(kind) for kind in kinds},  # type: ignore[arg-type]
            targets,
            len({key for told in entry.targets.values() for keys in told.values() for key in keys}),
            entry.seen,
            channels_of(change),
        ]
    )


def _chunks(packed: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """In their order, so many that one script call stays short."""
    starts, size = [0], 0
    for index, one in enumerate(packed):
        size += len(one)
        if index - starts[-1] == MOST_ENTRIES or (size > MOST_BYTES and index > starts[-1]):
            starts.append(index)
            size = len(one)
    for start, end in pairwise([*starts, len(packed)]):
        if end > start:
            yield packed[start:end]


def _change_of(line: str, version: int, flat: Sequence[str]) -> Committed:
    """The change that waits, as far as a resync needs it."""
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    stream = line[: -len(fields["id"]) - 1]
    event = from_fields(stream, fields)
    return Committed("", event.act, event.app_id, event.user_id, event.type, event.id, version, event.whole())
