"""Documents in the SQL database: many changes in one transaction, each made once; and documents found again.

A document's versions are counted here, one more with each change, whoever writes at the same time: SQLite lets one
transaction write at a time, PostgreSQL locks the documents of a transaction, in one order for all, before they are
read. A change that comes again within ``PLATFORM_KEEP_CHANGES_S`` changes nothing and is answered as the first time,
also if it was refused: somebody has been told so. Only an operator's replay has a refused one tried again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from platform import serialization
from platform.database import DatabaseUnavailable, reading, writing
from platform.documents import indexes
from platform.documents.acceptance import Wish, key_of, wished
from platform.documents.change import Change
from platform.documents.changing import NOWHERE, State, changed, may_see
from platform.documents.decisions import Decision, Outcome, decoded, encoded, is_another_try, refusal, repeated
from platform.documents.errors import (
    BadPatch,
    ChangeRefused,
    DocumentExists,
    InvalidDocument,
    PatchConflict,
    UnknownDocument,
    UnknownModel,
    VersionConflict,
)
from platform.documents.filters import Filter, parsed
from platform.documents.model import model_of
from platform.documents.narrowing import narrowed
from platform.documents.tables import applied_changes, documents
from platform.settings import settings

__all__ = [
    "BadPatch",
    "ChangeRefused",
    "DocumentExists",
    "InvalidDocument",
    "Page",
    "PatchConflict",
    "UnknownDocument",
    "UnknownModel",
    "VersionConflict",
    "apply",
    "find",
    "get",
    "prune",
]

#: How often a transaction is repeated that lost a race for a new document; each loss is another one's success.
RACES = 10
#: Values in one statement: SQLite takes 32 766.
SOME = 5_000
#: How long a deleted document's version is remembered, in seconds.
KEEP_DELETED_S = 30 * 86_400
_RACES_LOST = {"23505", "40001", "40P01"}  # unique violation, serialization failure, deadlock

_update = (
    update(documents)
    .where(documents.c.key == bindparam("of"))
    .values({name: bindparam(name) for name in ("user_id", "version", "created_ms", "updated_ms", "document")})
)


@dataclass(frozen=True)
class Page:
    """Some of the documents found, and how many there are."""

    items: list[dict[str, Any]]
    total: int


def apply(changes: Sequence[Change]) -> list[Outcome]:
    """Make the changes, in order, in one transaction; for each what was committed or why it was refused.

    One that is refused changes nothing and does not touch the others. Raises DatabaseUnavailable: then none is made,
    or all are and nobody heard, and the same call again answers as the first would have.
    """
    wishes = [_wished(change) for change in changes]
    indexes.ensure({wish.model for wish in wishes if isinstance(wish, Wish)})
    for _ in range(RACES - 1):
        try:
            return _apply(wishes)
        except (IntegrityError, DatabaseUnavailable) as exc:
            if not _was_a_race(exc):
                raise
    return _apply(wishes)


def get(app_id: str, type: str, id: str, *, reader: str | None) -> dict[str, Any]:
    """The document, system fields included; ``reader`` is the account that asks, None the platform itself.

    Raises UnknownModel, and UnknownDocument also for one that is not the reader's to see.
    """
    model = model_of(type)
    wanted = select(documents.c.user_id, documents.c.document).where(documents.c.key == key_of(app_id, type, id))
    with reading() as session:
        found = session.execute(wanted).first()
    if found is None or found.document is None or not may_see(model, found.user_id, reader):
        raise UnknownDocument(type, id)
    return serialization.decode(found.document)


def find(
    app_id: str,
    type: str,
    *,
    reader: str | None,
    filter: Mapping[str, Any] | None = None,
    offset: int = 0,
    limit: int = 50,
) -> Page:
    """The reader's documents that match, oldest first, ``limit`` of them from ``offset`` on.

    What a filter says of single fields the database judges first, by an index where the model declares one; the
    rest, and the final word, is the filter's. Measured on SQLite: 7 µs for each document that the database leaves,
    and where no index serves 2 µs for each of the type, 5 if all it says is under ``$or`` or ``$not``; PostgreSQL
    about twice that.
    Raises UnknownModel and BadFilter.
    """
    model = model_of(type)
    indexes.ensure({model})
    rules = [documents.c.app_id == app_id, indexes.is_of(type)]
    if reader and model.declared.visibility == "owner":
        rules.append(documents.c.user_id == reader)
    wanted = parsed(dict(filter or {}))
    with reading() as session:
        connection = session.connection()
        if not wanted.conditions and wanted.text == "{}":
            return _listed(connection, rules, offset, limit)
        rules += narrowed(connection.dialect.name, app_id, model, wanted.conditions)
        return _chosen(connection, rules, wanted, offset, limit)


def prune(limit: int = 1_000) -> int:
    """Forget at most ``limit`` changes and as many deleted documents that are past their time; tells how many."""
    now_ms = _now_ms()
    old = applied_changes.c.applied_ms < now_ms - settings().keep_changes_s * 1_000
    gone = documents.c.document.is_(None) & (documents.c.updated_ms < now_ms - KEEP_DELETED_S * 1_000)
    return _forget(applied_changes.c.change_id, old, limit) + _forget(documents.c.key, gone, limit)


def _wished(change: Change) -> Wish | ChangeRefused:
    try:
        return wished(change)
    except ChangeRefused as exc:
        return exc


def _apply(wishes: Sequence[Wish | ChangeRefused]) -> list[Outcome]:
    sound = [wish for wish in wishes if isinstance(wish, Wish)]
    if not sound:
        return [wish for wish in wishes if isinstance(wish, ChangeRefused)]
    with writing() as session:
        batch = _Batch(session.connection(), sound)
        outcomes = [wish if isinstance(wish, ChangeRefused) else batch.outcome(wish) for wish in wishes]
        batch.store()
        return outcomes


class _Batch:
    """The documents of one transaction, as they are while its changes are made one after the other."""

    def __init__(self, connection: Connection, wishes: Sequence[Wish]):
        self.connection = connection
        self.now_ms = _now_ms()
        self.max_bytes = settings().document_max_bytes
        # First the documents, which are locked thereby: whoever held them has also written down which changes it made.
        self.stored = _read(connection, sorted({wish.key for wish in wishes}))
        self.states = dict(self.stored)
        self.known = _decided_before(connection, [wish.change.change_id for wish in wishes])
        self.decided: dict[str, Decision] = {}

    def outcome(self, wish: Wish) -> Outcome:
        change = wish.change
        again = self.decided.get(change.change_id) or self.known.get(change.change_id)
        if again is not None and not is_another_try(again, change):
            return repeated(again, change)
        try:
            state, committed = changed(self.states.get(wish.key, NOWHERE), wish, self.now_ms, self.max_bytes)
        except ChangeRefused as exc:
            self.decided[change.change_id] = refusal(change, exc)
            return exc
        self.states[wish.key] = state
        self.decided[change.change_id] = committed
        return committed

    def store(self) -> None:
        """Write what is different now; new ones in the order of their keys, so that nobody waits in a circle."""
        written = sorted(key for key, state in self.states.items() if state is not self.stored.get(key))
        new = [_row(key, self.states[key]) for key in written if key not in self.stored]
        old = [_row(key, self.states[key]) for key in written if key in self.stored]
        if new:
            self.connection.execute(insert(documents), new)
        if old:
            self.connection.execute(_update, old)
        if self.decided:
            self._remember()

    def _remember(self) -> None:
        anew = sorted(self.decided.keys() & self.known.keys())  # refused before
        for some in _in_parts(anew):
            self.connection.execute(delete(applied_changes).where(applied_changes.c.change_id.in_(some)))
        rows = [
            {"change_id": change_id, "applied_ms": self.now_ms, "committed": encoded(self.decided[change_id])}
            for change_id in sorted(self.decided)
        ]
        self.connection.execute(insert(applied_changes), rows)


def _read(connection: Connection, keys: Sequence[str]) -> dict[str, State]:
    columns = [documents.c[name] for name in ("key", "user_id", "version", "created_ms", "updated_ms", "document")]
    wanted = select(*columns).order_by(documents.c.key).with_for_update()
    found = {}
    for some in _in_parts(keys):
        for key, user_id, version, created_ms, updated_ms, text in connection.execute(
            wanted.where(documents.c.key.in_(some))
        ):
            document = None if text is None else serialization.decode(text)
            found[key] = State(user_id, version, created_ms, updated_ms, document, text)
    return found


def _decided_before(connection: Connection, change_ids: Sequence[str]) -> dict[str, Decision]:
    columns = applied_changes.c.change_id, applied_changes.c.committed
    found = {}
    for some in _in_parts(change_ids):
        for change_id, data in connection.execute(select(*columns).where(applied_changes.c.change_id.in_(some))):
            found[change_id] = decoded(data)
    return found


def _row(key: str, state: State) -> dict[str, Any]:
    app_id, type, id = key.split(":")
    return {
        "of": key,
        "key": key,
        "app_id": app_id,
        "type": type,
        "id": id,
        "user_id": state.user_id,
        "version": state.version,
        "created_ms": state.created_ms,
        "updated_ms": state.updated_ms,
        "document": state.text,
    }


def _listed(connection: Connection, rules: Sequence[Any], offset: int, limit: int) -> Page:
    total = connection.scalar(select(func.count()).select_from(documents).where(*rules)) or 0
    wanted = select(documents.c.document).where(*rules).order_by(documents.c.created_ms, documents.c.id)
    found = connection.execute(wanted.offset(offset).limit(limit))
    return Page([serialization.decode(text) for (text,) in found], total)


def _chosen(connection: Connection, rules: Sequence[Any], wanted: Filter, offset: int, limit: int) -> Page:
    """In order here, not in the database: SQLite would rather go through all in order than use a field's index."""
    columns = documents.c.created_ms, documents.c.id, documents.c.document
    candidates = connection.execution_options(yield_per=500).execute(select(*columns).where(*rules))
    found = [
        (created_ms, id, text) for created_ms, id, text in candidates if wanted.matches(serialization.decode(text))
    ]
    found.sort()
    return Page([serialization.decode(text) for _, _, text in found[offset : offset + limit]], len(found))


def _forget(key: Any, old: Any, limit: int) -> int:
    """Looks before it writes: on SQLite there is one writer at a time."""
    wanted = select(key).where(old).limit(limit)
    with reading() as session:
        keys = list(session.scalars(wanted))
    if not keys:
        return 0
    with writing() as session:
        for some in _in_parts(keys):
            session.execute(delete(key.table).where(key.in_(some), old))
    return len(keys)


def _was_a_race(exc: IntegrityError | DatabaseUnavailable) -> bool:
    """Whether another transaction made the same document first, or waited for this one as this one for it."""
    cause = exc if isinstance(exc, IntegrityError) else exc.__cause__
    return getattr(getattr(cause, "orig", None), "sqlstate", None) in _RACES_LOST


def _in_parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), SOME):
        yield values[start : start + SOME]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
