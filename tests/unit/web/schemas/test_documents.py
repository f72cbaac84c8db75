from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import Field, TypeAdapter

from platform.documents import model as registry
from platform.documents.model import Model
from web.schemas.documents import DocumentFilter, Patch, document_of, page_of_documents


@pytest.fixture
def note(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Model]]:
    monkeypatch.setattr(registry, "_models", dict(registry._models))

    class Note(Model, visibility="app"):
        """What to remember."""

        title: str = Field(min_length=1)
        n: int = 0

    return Note


def test_a_document_has_the_models_fields_beside_the_systems(note: type[Model]) -> None:
    schema = document_of(note).model_json_schema()
    system = ["appId", "userId", "type", "id", "version", "createdAt", "updatedAt"]
    assert list(schema["properties"]) == [*system, "title", "n"]
    assert schema["properties"]["title"]["minLength"] == 1
    assert (schema["title"], schema["description"]) == ("NoteDocument", "What to remember.")


def test_describing_a_model_declares_no_other(note: type[Model]) -> None:
    before = list(registry._models)
    page_of_documents(note)
    assert list(registry._models) == before


def test_a_page_is_one_of_its_documents(note: type[Model]) -> None:
    schema = page_of_documents(note).model_json_schema()
    assert schema["properties"]["items"]["items"] == {"$ref": "#/$defs/NoteDocument"}


def test_a_patch_is_left_to_the_patches_own_module() -> None:
    adapter = TypeAdapter(Patch)
    assert adapter.json_schema()["type"] == "array"
    assert adapter.validate_json(b'{"op": 1}', strict=True) == {"op": 1}


def test_a_filter_stays_text_until_it_is_parsed() -> None:
    assert DocumentFilter.model_validate({"filter": '{"n":1}', "page": "2"}).offset == 50
