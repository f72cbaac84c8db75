"""What a deployment's database needs: the platform's steps, the user's tables, the models' indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import inspect
from sqlalchemy.orm import Mapped, mapped_column

from platform import database as db
from platform import schema
from platform.database import Base, SchemaBehind, reading
from platform.documents import indexes, store
from platform.documents import model as registry
from platform.documents.model import Model
from tests.databases import database as database  # noqa: PLC0414
from tests.unit.documents.asking import create, declare


@pytest.fixture(autouse=True)
def note(database: str, monkeypatch: pytest.MonkeyPatch) -> type[Model]:
    monkeypatch.setattr(registry, "_models", {})
    return declare(indexes=("title", "n"))


@pytest.fixture
def users_table() -> Iterator[str]:
    """A table that a user's module declares."""

    class Shelf(Base):
        __tablename__ = "test_shelves"
        id: Mapped[int] = mapped_column(primary_key=True)

    yield Shelf.__tablename__
    Base.metadata.remove(Shelf.__table__)  # type: ignore[arg-type]
    Base.registry._dispose_cls(Shelf)


def there() -> set[str]:
    with db.unprepared() as connection:
        return set(inspect(connection).get_table_names())


def names(found: list[schema.Pending], kind: str) -> list[str]:
    return [part.what if kind == "index" else part.name for part in found if part.kind == kind]


def test_what_would_be_done_is_told_and_not_done(users_table: str) -> None:
    found = schema.pending()
    assert names(found, "step") == ["0001", "0002"]
    assert users_table in names(found, "table")
    assert "documents" not in names(found, "table")
    assert sorted(names(found, "index")) == ["note.n", "note.title"]
    assert there() == set()


def test_everything_is_made_once(users_table: str) -> None:
    assert schema.migrate() != []
    assert {"documents", "users", users_table} <= there()
    assert (schema.migrate(), schema.pending()) == ([], [])


def test_a_model_declared_later_needs_its_index() -> None:
    schema.migrate()
    declare("Memo", indexes=("title",))
    assert names(schema.migrate(), "index") == ["memo.title"]


def test_in_production_the_indexes_of_postgresql_are_an_operators(
    database: str, settings_env: Callable[..., None]
) -> None:
    db.dispose()
    settings_env(env="production", database_url=database, secret_keys="s" * 32, flower_password="p" * 12)
    if database.startswith("postgresql"):
        with pytest.raises(SchemaBehind):
            store.apply([create("1")])
        db.migrate()
    store.apply([create("1")])
    with reading() as session:
        left = indexes.missing(session.connection())
    assert len(left) == (2 if database.startswith("postgresql") else 0)
    schema.migrate()
    assert schema.pending() == []
