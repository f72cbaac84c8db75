"""The whole schema of a deployment: the platform's steps, tables of the user's modules, indexes of the models.

Both functions look at what is imported: load the user's modules first (``app.load_everything()``).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, inspect

from platform import database
from platform.documents import indexes
from platform.migrations import steps

OURS = {"platform", "tasks"}


@dataclass(frozen=True)
class Pending:
    """Something the database lacks. ``kind`` is step, table or index."""

    kind: str
    name: str
    what: str


def pending() -> list[Pending]:
    """What ``migrate`` would do, in order; changes nothing. Raises DatabaseUnavailable."""
    with database.unprepared() as connection:
        return [
            *(Pending("step", name, what) for name, what in steps.pending(connection)),
            *(Pending("table", name, "of your own modules") for name in _missing_tables(connection)),
            *(Pending("index", name, what) for name, (what, _) in indexes.missing(connection).items()),
        ]


def migrate() -> list[Pending]:
    """Bring the database to what this release and the user's modules need; what was done. Safe to repeat, and at once.

    Raises DatabaseUnavailable.
    """
    done = pending()
    if done:
        database.migrate()
        indexes.make()
    return done


def _missing_tables(connection: Connection) -> list[str]:
    """The platform's own are made by steps, and named there."""
    ours = {
        mapper.local_table.name  # type: ignore[attr-defined]
        for mapper in database.Base.registry.mappers
        if mapper.class_.__module__.partition(".")[0] in OURS
    }
    return sorted(set(database.metadata.tables) - set(inspect(connection).get_table_names()) - ours)
