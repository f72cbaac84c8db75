"""The steps make what the classes describe, adopt what was there, and go on from wherever a database is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select, text

from platform import database as db
from platform.accounts.tables import User
from platform.database import Base, SchemaBehind, metadata, reading, writing
from platform.documents.tables import documents
from platform.migrations import HEAD, steps
from platform.schema import OURS
from platform.trail import Line
from tasks.resources import Resource

BASELINE = ("users", "api_keys", "audit_trail", "resources")


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """In a transaction that may write, of a database with nothing in it."""
    with db._current().engine.execution_options(sqlite_begin="BEGIN IMMEDIATE").begin() as made:
        yield made


def is_ours(name: str) -> bool:
    """Not a table that a test declared."""
    classes = [mapper.class_ for mapper in Base.registry.mappers if mapper.local_table.name == name]  # type: ignore[attr-defined]
    return any(found.__module__.partition(".")[0] in OURS for found in classes)


def differences(connection: Connection) -> list[Any]:
    def included(thing: Any, name: str | None, kind: str, *_: Any) -> bool:
        return is_ours(name or "") if kind == "table" else True

    options = {"include_object": included, "compare_server_default": True}
    return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)


def step_of(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def make_as_before(*names: str) -> None:
    """The tables as programs made them before there were steps."""
    with db._current().engine.begin() as connection:
        metadata.create_all(connection, tables=[metadata.tables[name] for name in names])


def test_the_steps_make_what_the_classes_describe(connection: Connection) -> None:
    assert {Line.__tablename__, Resource.__tablename__} <= set(metadata.tables)
    steps.upgrade(connection)
    assert differences(connection) == []


def test_a_difference_would_be_seen(connection: Connection) -> None:
    steps.upgrade(connection)
    connection.execute(text("ALTER TABLE documents ADD COLUMN more TEXT"))
    connection.execute(text("DROP INDEX ix_applied_changes_applied_ms"))
    assert {found[0] for found in differences(connection)} == {"remove_column", "add_index"}


def test_the_named_head_is_the_newest_step() -> None:
    script = ScriptDirectory.from_config(steps._config())
    assert script.get_heads() == [HEAD]
    names = [step.revision for step in script.walk_revisions()]
    assert names == sorted(names, reverse=True)  # a program tells by comparing that a database is ahead of it


def test_an_empty_database_needs_every_step_and_then_none(connection: Connection) -> None:
    assert [name for name, _ in steps.pending(connection)] == ["0001", "0002"]
    steps.upgrade(connection)
    assert (steps.pending(connection), step_of(connection)) == ([], HEAD)


@pytest.mark.parametrize("there", [("users", "api_keys"), BASELINE, ("audit_trail",)])
def test_what_was_made_before_there_were_steps_is_adopted_without_loss(database: str, there: tuple[str, ...]) -> None:
    make_as_before(*there)
    user = User(id="1", email="a@b.c", role="user", app_id="x", password_hash="h", created_at=datetime.now(UTC))
    if "users" in there:
        with db._current().engine.begin() as connection:
            values = {column.name: getattr(user, column.name) for column in User.__table__.columns}
            connection.execute(User.__table__.insert(), [values])  # type: ignore[attr-defined]
    with reading() as session:
        assert step_of(session.connection()) == HEAD
        assert list(session.scalars(select(User.email))) == (["a@b.c"] if "users" in there else [])
        assert differences(session.connection()) == []


def test_a_step_that_fails_leaves_nothing_behind(database: str) -> None:
    with db._current().engine.execution_options(sqlite_begin="BEGIN IMMEDIATE").connect() as connection:
        connection.execute(text("CREATE TABLE applied_changes (a INTEGER)"))
        connection.commit()
        with pytest.raises(Exception, match="applied_changes"):
            steps.upgrade(connection)
        connection.rollback()
        assert set(inspect(connection).get_table_names()) == {"applied_changes"}


def test_a_schema_newer_than_this_release_is_left_alone(database: str) -> None:
    with writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    db.dispose()
    with reading() as session:
        assert session.scalars(select(documents.c.key)).all() == []
        assert steps.pending(session.connection()) == []


@pytest.fixture
def in_production(database: str, settings_env: Callable[..., None]) -> None:
    db.dispose()
    settings_env(env="production", database_url=database, secret_keys="s" * 32, flower_password="p" * 12)


def test_in_production_only_an_operator_changes_postgresql(database: str, in_production: None) -> None:
    if database.startswith("sqlite"):
        with reading() as session:
            assert step_of(session.connection()) == HEAD
        return
    for use in (reading, writing):
        with (
            pytest.raises(SchemaBehind, match="is behind this release; run `celery -A platform config migrate`"),
            use(),
        ):
            pass
    db.migrate()
    with writing() as session:
        assert step_of(session.connection()) == HEAD


def test_an_up_to_date_schema_is_looked_at_once_in_a_process(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with reading():
        pass

    def fail(*_: Any) -> bool:
        raise AssertionError

    monkeypatch.setattr(db._Database, "_has", fail)
    with reading(), writing():
        pass
