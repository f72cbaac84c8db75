from __future__ import annotations

import multiprocessing
import os
import pickle
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import BrokenBarrierError

import pytest
from sqlalchemy import Table, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, mapped_column

from platform import database as db
from platform.database import Base, DatabaseUnavailable, UtcDateTime, engine, reading, writing
from platform.errors import SettingsError
from tests.databases import database as database  # noqa: PLC0414

RACERS = 8
TWO_WRITERS = """
from gevent import monkey, spawn, joinall
monkey.patch_all()
from gevent.event import Event
import tasks
from platform import database
database.LOCK_WAIT_S = 0.2
database.engine()
holds, asks, order = Event(), Event(), []

def first():
    with database.writing():
        holds.set()
        asks.wait()
        order.append("first ended")

def second():
    holds.wait()
    asks.set()
    with database.writing():
        order.append("second began")

joinall([spawn(first), spawn(second)], raise_error=True)
print(*order, sep=", ")
"""


class Event(Base):
    __tablename__ = "test_events"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def stored_ids() -> list[int]:
    with reading() as session:
        return list(session.scalars(text("SELECT id FROM test_events ORDER BY id")))


def add(number: int) -> None:
    with writing() as session:
        session.add(Event(id=number))


def connection_name() -> object:
    """What no two connections share."""
    with reading() as session:
        if engine().dialect.name == "postgresql":
            return session.scalar(text("SELECT pg_backend_pid()"))
        return id(engine().pool)


def test_what_a_block_wrote_is_kept_when_it_ends(database: str) -> None:
    add(1)
    assert stored_ids() == [1]


def test_what_a_block_wrote_is_dropped_when_it_raises(database: str) -> None:
    def fail() -> None:
        with writing() as session:
            session.add(Event(id=1))
            session.flush()
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert stored_ids() == []


def test_a_reading_block_keeps_nothing(database: str) -> None:
    with reading() as session:
        session.add(Event(id=1))
        session.flush()
    assert stored_ids() == []


def test_times_come_back_aware_and_in_utc(database: str) -> None:
    local = datetime(2026, 11, 22, 12, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    with writing() as session:
        session.add(Event(id=1, at=local))
        session.add(Event(id=2, at=None))
    with reading() as session:
        first, second = session.get_one(Event, 1).at, session.get_one(Event, 2).at
    assert (first, second) == (local, None)
    assert first is not None
    assert first.tzinfo is UTC


def test_a_table_defined_later_is_made_too(database: str) -> None:
    add(1)

    class Later(Base):
        __tablename__ = "test_later"
        id: Mapped[int] = mapped_column(primary_key=True)

    try:
        with writing() as session:
            session.add(Later(id=7))
        with reading() as session:
            assert session.get_one(Later, 7).id == 7
    finally:
        Base.metadata.remove(Later.__table__)  # type: ignore[arg-type]
        Base.registry._dispose_cls(Later)


def test_the_default_is_a_private_sqlite_file_in_the_data_folder(
    data_dir: Path, settings_env: Callable[..., None]
) -> None:
    settings_env(data_dir=data_dir / "new" / "folder")
    try:
        add(1)
        file = data_dir / "new" / "folder" / "platform.db"
        modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in file.parent.glob("platform.db*")}
        assert modes == {"platform.db": 0o600, "platform.db-wal": 0o600, "platform.db-shm": 0o600}
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    finally:
        db.dispose()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_sqlite_runs_with_a_write_ahead_log_and_checks_foreign_keys(database: str) -> None:
    with reading() as session:
        found = [session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "foreign_keys", "busy_timeout")]
    assert found == ["wal", 1, 5000]


def test_a_new_file_that_another_process_is_writing_is_waited_for(
    data_dir: Path, settings_env: Callable[..., None]
) -> None:
    settings_env(data_dir=data_dir)
    other = sqlite3.connect(data_dir / "platform.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, other.execute, ["COMMIT"])
    release.start()
    try:
        add(1)
        assert stored_ids() == [1]
    finally:
        release.join()
        other.close()
        db.dispose()


def test_two_greenlets_writing_take_turns_instead_of_stopping_the_process(data_dir: Path) -> None:
    env = {**os.environ, "PLATFORM_DATA_DIR": str(data_dir)}
    command = [sys.executable, "-c", TWO_WRITERS]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("first ended, second began\n", "")


def _race(start: Barrier, both_checked: Barrier, number: int) -> None:
    """Make the tables; between looking which are missing and making them, wait for the other for half a second."""

    def wait_for_the_other(*_: object, tables: list[Table], **__: object) -> None:
        if tables:
            with suppress(BrokenBarrierError):
                both_checked.wait(0.5)

    event.listen(Base.metadata, "before_create", wait_for_the_other)
    start.wait(30)
    add(number)


def test_two_processes_may_make_the_tables_at_once(database: str) -> None:
    forking = multiprocessing.get_context("fork")
    barriers = forking.Barrier(2), forking.Barrier(2)
    racers = [forking.Process(target=_race, args=(*barriers, number)) for number in (1, 2)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert [racer.exitcode for racer in racers] == [0, 0]
    assert stored_ids() == [1, 2]


def test_many_processes_may_open_a_new_database_at_once(database: str) -> None:
    forking = multiprocessing.get_context("fork")
    start = forking.Barrier(RACERS)
    racers = [forking.Process(target=_open, args=(start, number)) for number in range(RACERS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert [racer.exitcode for racer in racers] == [0] * RACERS
    assert stored_ids() == list(range(RACERS))


def _open(start: Barrier, number: int) -> None:
    start.wait(30)
    add(number)


def _tell_connection(answer: Connection) -> None:
    add(2)
    answer.send(connection_name())


def test_a_forked_child_uses_its_own_connections_and_leaves_the_parents_alone(database: str) -> None:
    forking = multiprocessing.get_context("fork")
    add(1)
    ours = connection_name()
    receiver, sender = forking.Pipe(duplex=False)
    with reading() as session:
        assert session.scalar(text("SELECT count(*) FROM test_events")) == 1
        child = forking.Process(target=_tell_connection, args=(sender,))
        child.start()
        theirs = receiver.recv() if receiver.poll(30) else "no answer"
        child.join(30)
        # The view opened before the fork still answers; SQLite's WAL and a transaction block keep what it saw.
        assert session.scalar(text("SELECT 1")) == 1
    assert (child.exitcode, theirs == ours) == (0, False)
    assert connection_name() == ours
    assert stored_ids() == [1, 2]


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("postgresql://ann:geheim@host:port/name", "write postgresql://user:password@host/name"),
        ("sqlite:////proc/geheim/x.db", "choose a folder you may write to"),
    ],
)
def test_an_address_that_cannot_work_is_refused_without_its_password(
    address: str, says: str, settings_env: Callable[..., None]
) -> None:
    settings_env(database_url=address)
    with pytest.raises(SettingsError, match=says) as caught:
        engine()
    assert "geheim@" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_server_that_is_away_is_told_so_without_the_password(scheme: str, settings_env: Callable[..., None]) -> None:
    settings_env(database_url=f"{scheme}://ann:geheim@127.0.0.1:1/name")
    for use in (reading, writing):
        with pytest.raises(DatabaseUnavailable, match=r"ann:\*\*\*@127\.0\.0\.1:1/name is not available"), use():
            pass
    db.dispose()


def test_a_database_somebody_keeps_locked_is_not_available(
    data_dir: Path, settings_env: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "LOCK_WAIT_S", 0.05)
    engine()
    holder = sqlite3.connect(data_dir / "platform.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable):
        add(1)
    assert stored_ids() == []
    holder.close()
    add(1)
    assert stored_ids() == [1]
    db.dispose()


def test_a_mistake_in_a_query_is_not_mistaken_for_a_database_away(database: str) -> None:
    with pytest.raises(DBAPIError), reading() as session:
        session.execute(text("SELECT nothing_of_that_name"))


def test_the_error_survives_pickling() -> None:
    copy = pickle.loads(pickle.dumps(DatabaseUnavailable("sqlite:///x.db")))
    assert (type(copy), copy.address) == (DatabaseUnavailable, "sqlite:///x.db")
