"""The SQL database: SQLite in ``DATA_DIR`` by default, PostgreSQL in production; one engine per process.

``with reading() as session`` and ``with writing() as session`` are the two ways in. The schema is brought up to
date on first use, also when many processes come at once; a production database on PostgreSQL only by
``celery -A platform config migrate``. A forked child opens its own connections. Keep other
I/O (Redis, HTTP, password hashing) out of a ``writing()`` block: SQLite has one writer at a time, and
waiting for another process's turn stops every greenlet of this one, for up to ``LOCK_WAIT_S``.

Importing this takes about half a second; command modules import it inside their functions.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    DateTime,
    Dialect,
    Engine,
    MetaData,
    TypeDecorator,
    create_engine,
    event,
    inspect,
    make_url,
    text,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session

from platform.endpoints import database_url
from platform.errors import PlatformError, SettingsError
from platform.migrations import HEAD
from platform.settings import settings

LOCK_WAIT_S = 5.0
CONNECT_TIMEOUT_S = 3
#: SQLite writes its log back into the file after so many pages of 4 kB. A hundred patches of documents touch some 400:
#: at the default of 1 000 every third transaction would wait for that.
CHECKPOINT_PAGES = 4_000
# One number for every process of this project, so that only one of them makes tables at a time.
TABLES_LOCK = 0x706C6174666F726D  # "platform"
_IMMEDIATE = {"sqlite_begin": "BEGIN IMMEDIATE"}
_SQLITE_AWAY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
}


class DatabaseUnavailable(PlatformError):
    """The database did not answer, or stayed locked; nothing of the transaction was kept."""

    is_outage = True

    def __init__(self, address: str):
        super().__init__(address)
        self.address = address

    def __str__(self) -> str:
        return f"the database {self.address} is not available; check PLATFORM_DATABASE_URL and that it runs"


class SchemaBehind(DatabaseUnavailable):
    """The database lacks tables or columns that this release needs, and only an operator may change it."""

    def __str__(self) -> str:
        return f"the schema of {self.address} is behind this release; run `celery -A platform config migrate`"


class Base(DeclarativeBase):
    """Every table of the project; each constraint gets a name, because a migration can only drop what has one."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


metadata = Base.metadata


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC on both databases; SQLite would drop the zone, PostgreSQL answer in its own."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class _Database:
    """An engine, the tables known to exist, and the queue of this process's SQLite writers."""

    def __init__(self, address: str):
        self.url = _parse(address)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite_engine(self.url) if self.is_sqlite else _postgresql_engine(self.url)
        self.tables_made: set[str] = set()
        # Greenlets and threads wait here for each other; waiting in SQLite instead would stop the one that is to end.
        self.writers = threading.RLock() if self.is_sqlite else nullcontext()

    def make_tables(self) -> None:
        wanted = set(metadata.tables)
        if wanted <= self.tables_made:
            return
        if not self._has(wanted):
            if not self.changes_itself:
                raise SchemaBehind(self.url.render_as_string(hide_password=True))
            self.migrate()
        self.tables_made = wanted

    @property
    def changes_itself(self) -> bool:
        """Whether using the database may change its schema."""
        return self.is_sqlite or not settings().is_production

    def migrate(self) -> None:
        """Bring the schema to the newest step, and make the tables of the user's own modules."""
        with self.writers, self.engine.execution_options(**_IMMEDIATE).begin() as connection:
            take_turns(connection)
            if _is_behind(connection):
                from platform.migrations import steps

                steps.upgrade(connection)
            metadata.create_all(connection)

    def _has(self, wanted: set[str]) -> bool:
        with self.engine.connect() as connection:
            return wanted <= set(inspect(connection).get_table_names()) and not _is_behind(connection)


def _is_behind(connection: Connection) -> bool:
    """Whether steps are missing. None are where a newer release has been at work: it left what this one needs."""
    if not inspect(connection).has_table("alembic_version"):
        return True
    step = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return step is None or step < HEAD


def take_turns(connection: Connection) -> None:
    """Let no other process change the schema until the transaction ends; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": TABLES_LOCK})


_databases: dict[str, _Database] = {}
_inherited: list[_Database] = []


def engine() -> Engine:
    """This process's engine for the configured database, every known table made."""
    return _ready().engine


def migrate() -> None:
    """Bring the schema to the newest step, in production too. Raises DatabaseUnavailable."""
    with _answering():
        _current().migrate()


def changes_itself() -> bool:
    """Whether using the database may change its schema; else only ``config migrate`` does."""
    return _current().changes_itself


@contextmanager
def unprepared() -> Iterator[Connection]:
    """A connection to the database as it is, whatever its schema. Raises DatabaseUnavailable."""
    with _answering(), _current().engine.connect() as connection:
        yield connection


@contextmanager
def reading() -> Iterator[Session]:
    """One consistent view; changes made in it are dropped. Raises DatabaseUnavailable."""
    with _answering(), Session(_ready().engine) as session:
        yield session


@contextmanager
def writing() -> Iterator[Session]:
    """One transaction: kept when the block ends, dropped when it raises. Raises DatabaseUnavailable.

    SQLite takes its write lock at the start: a transaction that read first could not wait for it later.
    """
    with _answering():
        database = _ready()
        bind = database.engine.execution_options(**_IMMEDIATE)
        with database.writers, Session(bind, expire_on_commit=False) as session, session.begin():
            yield session


def dispose() -> None:
    """Close this process's idle connections; the next use opens new ones."""
    while _databases:
        _databases.popitem()[1].engine.dispose()


def _leave_to_parent() -> None:
    """In a forked child: never use, and never close, connections whose sockets and locks are the parent's."""
    _inherited.extend(_databases.values())
    _databases.clear()


os.register_at_fork(after_in_child=_leave_to_parent)


def _ready() -> _Database:
    database = _current()
    with _answering():
        database.make_tables()
    return database


def _current() -> _Database:
    address = database_url(settings())
    found = _databases.get(address)
    # Two threads may both build one; an unused engine has no connection, and setdefault keeps the first.
    return found or _databases.setdefault(address, _Database(address))


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (OperationalError, PoolTimeout) as exc:
        if not _is_away(exc):
            raise
        raise DatabaseUnavailable(_current().url.render_as_string(hide_password=True)) from exc


def _is_away(exc: OperationalError | PoolTimeout) -> bool:
    """Whether the database is the cause; SQLite reports a missing column by the same class."""
    cause = exc.orig if isinstance(exc, OperationalError) else None
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _SQLITE_AWAY
    return True


def _parse(address: str) -> URL:
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as exc:
        raise SettingsError("PLATFORM_DATABASE_URL: unreadable; write postgresql://user:password@host/name") from exc
    if url.drivername in {"postgres", "postgresql"}:
        return url.set(drivername="postgresql+psycopg")
    return url


def _postgresql_engine(url: URL) -> Engine:
    timeout = url.query.get("connect_timeout", CONNECT_TIMEOUT_S)
    return create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,  # a restarted server costs one round trip, not one failed request per connection
        pool_timeout=LOCK_WAIT_S,
        connect_args={"connect_timeout": timeout},
    )


def _sqlite_engine(url: URL) -> Engine:
    _make_private_file(Path(url.database or ""))
    made = create_engine(url, hide_parameters=True, connect_args={"timeout": LOCK_WAIT_S})
    event.listen(made, "connect", _prepare_sqlite)
    event.listen(made, "begin", _begin_sqlite)
    return made


def _make_private_file(file: Path) -> None:
    """Never opens a file that exists: closing it again would drop this process's locks on it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        pass
    except OSError as exc:
        raise SettingsError(f"PLATFORM_DATABASE_URL: {file} cannot be made; choose a folder you may write to") from exc


def _prepare_sqlite(connection: DBAPIConnection, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says, not before the first INSERT
    connection.cursor().execute("PRAGMA foreign_keys = ON").close()
    connection.cursor().execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}").close()
    _use_write_ahead_log(connection)


def _use_write_ahead_log(connection: DBAPIConnection) -> None:
    """Wait for the other processes that open the new file: this statement does not heed the busy timeout.

    While another holds the write lock the mode cannot change. It stays in the file: later openings find it set.
    Measured, four processes opening a new file at once, 300 times: 37 of 1 200 were told "database is locked".
    """
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            return connection.cursor().execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.005)


def _begin_sqlite(connection: Any) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
