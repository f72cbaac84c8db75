from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from pydantic import Field, field_validator

from platform.documents.errors import InvalidDocument, UnknownModel
from platform.documents.model import BadModel, DuplicateModel, Model, checked_fields, model_of, models


def declare(name: str, **options: Any) -> type[Model]:
    fields: dict[str, Any] = {"__annotations__": {"title": str}, "__module__": __name__, "__qualname__": name}
    return type(Model)(name, (Model,), fields, **options)  # type: ignore[no-any-return]


def problems(model: type[Model], fields: dict[str, Any]) -> list[dict[str, Any]]:
    with pytest.raises(InvalidDocument) as caught:
        checked_fields(model, fields)
    return caught.value.errors


@pytest.mark.parametrize(
    ("name", "type"),
    [("Note", "note"), ("FileEntry", "file_entry"), ("HTTPLog", "http_log"), ("Page2Text", "page2_text")],
)
def test_a_class_is_a_type_by_its_name(name: str, type: str) -> None:
    model = declare(name)
    assert model_of(type) is model
    assert model.declared.type == type


def test_what_stands_beside_the_base_class_is_declared() -> None:
    declared = declare("Note", type="memo", visibility="app", indexes=("title",)).declared
    assert (declared.type, declared.visibility, declared.indexes) == ("memo", "app", ("title",))


def test_nothing_beside_it_means_its_owner_alone_and_no_index() -> None:
    declared = declare("Note").declared
    assert (declared.visibility, declared.indexes) == ("owner", ())


def test_a_base_for_others_is_no_type() -> None:
    class Titled(Model, type=None):
        title: str

    class Chapter(Titled, visibility="app"):
        pages: int = 1

    assert Titled not in models()
    assert checked_fields(model_of("chapter"), {"title": "x"}) == {"title": "x", "pages": 1}
    assert Chapter.declared.visibility == "app"


def test_an_unknown_type_names_the_nearest() -> None:
    declare("Invoice")
    with pytest.raises(UnknownModel, match="no model 'invoce'; did you mean 'invoice'"):
        model_of("invoce")


def test_two_classes_of_one_type_are_refused() -> None:
    declare("Invoice")
    with pytest.raises(DuplicateModel, match=r"the type invoice is .*Invoice's already; give one of them another type"):
        declare("Bill", type="invoice")


def test_a_module_that_is_loaded_again_declares_its_models_again() -> None:
    declare("Invoice")
    again = declare("Invoice")
    assert model_of("invoice") is again


def test_a_replaceable_model_gives_way_whichever_comes_first() -> None:
    declare("Shipped", type="invoice", replaceable=True)
    own = declare("Own", type="invoice")
    assert model_of("invoice") is own
    declare("ShippedLater", type="invoice", replaceable=True)
    assert model_of("invoice") is own


def test_models_are_listed_by_type() -> None:
    declare("Zebra")
    declare("Ant")
    types = [model.declared.type for model in models()]
    assert types == sorted(types)
    assert {"ant", "zebra"} <= set(types)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"visiblity": "app"}, "unknown option visiblity; did you mean 'visibility'"),
        ({"visibility": "all"}, "visibility is 'owner' or 'app', not 'all'"),
        ({"type": "No-te"}, "the type 'No-te' must be 1 to 40"),
        ({"indexes": ("titel",)}, "no field 'titel' to index; did you mean 'title'"),
        ({"indexes": ("title",) * 9}, "9 indexes; at most 8"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadModel, match=f"Note: .*{says}"):
        declare("Note", **options)
    assert "note" not in [model.declared.type for model in models()]


def test_a_field_of_the_platforms_own_is_refused_under_its_name_in_json() -> None:
    with pytest.raises(BadModel, match="keeps a field createdAt itself"):

        class Note(Model):
            created: str = Field("", alias="createdAt")


def test_fields_are_stored_as_json_with_defaults_in_the_models_order() -> None:
    class Note(Model):
        title: str
        n: int = 0
        due: datetime | None = None
        kind: str = Field("plain", alias="class")

    stored = checked_fields(Note, {"class": "x", "due": "2026-11-22T10:00:00+00:00", "title": "t"})
    assert list(stored.items()) == [("title", "t"), ("n", 0), ("due", "2026-11-22T10:00:00Z"), ("class", "x")]


@pytest.mark.parametrize(
    ("fields", "loc", "says"),
    [
        ({}, ["title"], "Field required"),
        ({"title": 1}, ["title"], "valid string"),
        ({"title": "x", "n": "1"}, ["n"], "valid integer"),
        ({"title": "x", "n": True}, ["n"], "valid integer"),
        ({"title": "x", "tags": ["a", 1]}, ["tags", 1], "valid string"),
        ({"title": "x", "tilte": "y"}, ["tilte"], "Extra inputs are not permitted"),
        ({"title": "x", "id": "1"}, ["id"], "kept by the platform"),
        ({"title": object()}, [], "has no JSON form"),
    ],
)
def test_fields_that_do_not_fit_are_told_by_place(fields: dict[str, Any], loc: list[Any], says: str) -> None:
    class Note(Model):
        title: str
        n: int = 0
        tags: list[str] = []

    (problem,) = problems(Note, fields)
    assert problem["loc"] == loc
    assert says in problem["msg"]


def test_a_document_nested_too_deeply_is_refused() -> None:
    class Note(Model):
        anything: Any = None

    value: Any = 1
    for _ in range(40):
        value = {"a": value}
    assert problems(Note, {"anything": value}) == [{"loc": [], "msg": "it is nested more than 32 deep"}]


def test_a_models_own_check_that_breaks_is_one_documents_trouble(caplog: pytest.LogCaptureFixture) -> None:
    class Note(Model):
        n: int

        @field_validator("n")
        @classmethod
        def halve(cls, n: int) -> int:
            return 10 // n

    (problem,) = problems(Note, {"n": 0})
    assert problem["msg"].startswith("the model could not check it: ZeroDivisionError")
    assert "the model note could not check a document" in caplog.text
