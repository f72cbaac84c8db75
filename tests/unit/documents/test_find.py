"""Finding documents: what SQL leaves and a filter chooses is what the filter alone would choose."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from platform.database import engine, reading, writing
from platform.documents import indexes, store
from platform.documents.filters import BadFilter, parsed
from platform.documents.model import Model, model_of
from platform.documents.narrowing import narrowed
from platform.documents.tables import documents
from tests.unit.documents.asking import asked, create, declare, delete, made
from tests.unit.documents.values import SCALARS, VALUES

NUMBERS = st.sampled_from([2**53, 2**53 + 1, 2**63, 10**30, -(10**30), 0.1, 0.1 + 0.2, 1e-320, 1e300, 1.7e308])
LONG = ["x" * 199 + "a", "x" * 199 + "b", "x" * 200, "x" * 200 + "a", "x" * 201]
TEXTS = st.sampled_from([*LONG, "Z", "a", "ä", "\uffff", "\U0001f600"])
ODD = st.one_of(NUMBERS, TEXTS)
ANYTHING = st.one_of(SCALARS, ODD, VALUES)
ORDERABLE = st.one_of(st.integers(-2, 2), ODD)
CONDITIONS = st.one_of(
    st.fixed_dictionaries({"$eq": ANYTHING}),
    st.fixed_dictionaries({"$in": st.lists(ANYTHING, max_size=3)}),
    st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), ORDERABLE).map(lambda pair: dict([pair])),
)


FIELDS = st.sampled_from(["extra", "extra", "title", "n", "tags", "version", "id", "extra.a"])
PARTS = st.lists(st.tuples(FIELDS, CONDITIONS), max_size=2).map(dict)
FILTERS = st.one_of(
    PARTS,
    PARTS.map(lambda part: {"$not": part}),
    st.tuples(PARTS, PARTS).map(lambda parts: {"$and": [*parts]}),
    st.tuples(PARTS, PARTS).map(lambda parts: {"$or": [*parts]}),
    st.tuples(PARTS, CONDITIONS).map(lambda parts: {"$and": [parts[0]], "n": {"$not": parts[1]}}),
)
DOCUMENTS = st.fixed_dictionaries({"extra": ANYTHING, "title": st.one_of(TEXTS, st.just("1")), "n": st.integers(-2, 2)})


@pytest.fixture(autouse=True)
def note(database: str) -> type[Model]:
    return declare(indexes=("title", "n", "extra"))


def ids(**asking: Any) -> list[str]:
    asking = {"reader": None} | asking
    return [document["id"] for document in store.find("acme", "note", **asking).items]


def test_documents_come_oldest_first_in_pages() -> None:
    for number in range(5):
        made(create(str(number)))
    assert ids() == ["0", "1", "2", "3", "4"]
    page = store.find("acme", "note", reader=None, offset=1, limit=2)
    assert ([document["id"] for document in page.items], page.total) == (["1", "2"], 5)
    assert store.find("acme", "note", reader=None, offset=9, limit=2) == store.Page([], 5)


def test_a_filter_is_paged_and_counted_as_well() -> None:
    made(*[create(str(number), n=number % 2) for number in range(6)])
    page = store.find("acme", "note", reader=None, filter={"n": 1}, offset=1, limit=1)
    assert ([document["id"] for document in page.items], page.total) == (["3"], 3)


def test_a_reader_finds_what_is_its_own() -> None:
    made(create("1"), asked("create", "2", data={}, actor="bob"), create("3"), delete("3"))
    assert ids() == ["1", "2"]
    assert ids(reader="ann") == ["1"]
    assert ids(reader="bob", filter={"n": 0}) == ["2"]
    assert ids(reader="ann", filter={"userId": "bob"}) == []


def test_system_fields_are_found_by_as_well() -> None:
    made(create("1"), create("2"), asked("create", "2", type="note", data={}, app_id="other"))
    assert ids(filter={"id": "2"}) == ["2"]
    assert ids(filter={"id": {"$in": ["1", "2", "3"]}}) == ["1", "2"]
    assert ids(filter={"userId": "ann", "version": {"$gte": 1}}) == ["1", "2"]
    assert ids(filter={"createdAt": {"$lt": "2000"}}) == []


def test_a_filter_or_type_that_is_none_is_refused() -> None:
    with pytest.raises(BadFilter):
        ids(filter={"n": {"$gtt": 1}})
    with pytest.raises(store.UnknownModel):
        store.find("acme", "nte", reader=None)


@pytest.fixture
def one_for_all_examples(note: type[Model]) -> None:
    """The database of all examples of a property."""


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(stored=st.lists(DOCUMENTS, min_size=1, max_size=6), filters=st.lists(FILTERS, min_size=1, max_size=6))
def test_what_is_found_is_what_the_filter_alone_would_choose(
    stored: list[dict[str, Any]], filters: list[dict[str, Any]], one_for_all_examples: None
) -> None:
    with writing() as session:
        session.execute(text("DELETE FROM documents"))
    made(*[create(str(number), **fields) for number, fields in enumerate(stored)])
    every = store.find("acme", "note", reader=None).items
    for filter in filters:
        expected = [document["id"] for document in every if parsed(filter).matches(document)]
        assert ids(filter=filter) == expected


EDGES = [None, True, False, 0, 1, -1, 1.0, 1.5, 2**53, 2**53 + 1, 2**63, -(10**30), 0.1 + 0.2, 0.3, 5e-324, 1e300]
EDGES += [
    1.7e308,
    -1.7e308,
    10**400,
    -(10**309),
    *LONG,
    "",
    "1",
    "Z",
    "a",
    "ä",
    "\uffff",
    "\U0001f600",
    [],
    [1],
    {},
    {"a": True},
]


def test_at_every_edge_the_database_leaves_what_matches() -> None:
    made(*[create(str(number), extra=value) for number, value in enumerate(EDGES)])
    every = store.find("acme", "note", reader=None, limit=100).items
    for operand in EDGES:
        is_ordered = isinstance(operand, int | float | str) and not isinstance(operand, bool)
        for operator in ("$eq", "$gt", "$gte", "$lt", "$lte") if is_ordered else ("$eq",):
            filter = {"extra": {operator: operand}}
            expected = [document["id"] for document in every if parsed(filter).matches(document)]
            assert ids(filter=filter, limit=100) == expected, filter
    assert ids(filter={"extra": {"$in": EDGES}}, limit=100) == [document["id"] for document in every]


@pytest.mark.parametrize("condition", [{"$eq": "a\0b"}, {"$gt": "a\0b"}, {"$in": ["a\0b", "x"]}, {"$lt": 10**400}])
def test_what_a_database_cannot_be_told_is_left_to_the_filter(condition: dict[str, Any]) -> None:
    made(create("1", title="x", n=1), create("2", title="a", n=2))
    field = "n" if "$lt" in condition else "title"
    expected = {"$eq": [], "$gt": ["1"], "$in": ["1"], "$lt": ["1", "2"]}
    assert ids(filter={field: condition}) == expected[next(iter(condition))]


def plan(filter: dict[str, Any]) -> str:
    """How the database goes about it."""
    dialect = engine().dialect.name
    rules = [documents.c.app_id == "acme", indexes.is_of("note")]
    rules += narrowed(dialect, "acme", model_of("note"), parsed(filter).conditions)
    wanted = select(documents.c.id).where(*rules)
    statement = str(wanted.compile(engine(), compile_kwargs={"literal_binds": True}))
    explain = "EXPLAIN QUERY PLAN" if dialect == "sqlite" else "EXPLAIN"
    with reading() as session:
        rows = session.connection().exec_driver_sql(f"{explain} {statement}".replace("%", "%%"))
        return "\n".join(str(row) for row in rows)


@pytest.fixture
def many() -> None:
    made(*[create(str(number), n=number, title=f"t{number}", extra=number % 500) for number in range(2_000)])
    with writing() as session:
        session.execute(text("ANALYZE documents"))


@pytest.mark.parametrize(
    ("filter", "index"),
    [
        ({"title": "t7"}, "ix_documents_note_title"),
        ({"title": {"$in": ["t7", "t8"]}}, "ix_documents_note_title"),
        ({"title": {"$gte": "t1998", "$lt": "t1999"}}, "ix_documents_note_title"),
        ({"n": 7}, "ix_documents_note_n"),
        ({"n": {"$gt": 3, "$lt": 6}}, "ix_documents_note_n"),
        ({"n": {"$in": [7, 8]}}, "ix_documents_note_n"),
        ({"extra": 7}, "ix_documents_note_extra"),
        ({"n": 1.5}, "ix_documents_note_n"),
        ({"id": "7"}, "pk_documents|autoindex_documents"),
    ],
)
def test_the_database_uses_the_declared_index(filter: dict[str, Any], index: str, many: None) -> None:
    assert any(name in plan(filter) for name in index.split("|")), plan(filter)


def test_the_index_of_a_model_declared_later_serves_documents_that_were_there(many: None) -> None:
    declare(indexes=("title", "n", "extra", "tags"))
    assert ids(filter={"tags": ["x"]}) == []
    with reading() as session:
        assert indexes.missing(session.connection(), [model_of("note")]) == {}
