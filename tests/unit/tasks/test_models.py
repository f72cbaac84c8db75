"""The models that are there to begin with."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from platform.documents import model as registry
from platform.documents.errors import InvalidDocument
from platform.documents.model import checked_fields
from tasks import models
from tasks.models import Model, model_of


@pytest.fixture(autouse=True)
def shipped_only(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = {model.declared.type: model for model in (models.Task, models.Item, models.File)}
    monkeypatch.setattr(registry, "_models", shipped)


@pytest.mark.parametrize(
    ("type", "visibility", "fields"),
    [
        ("task", "app", {"title": "x"}),
        ("item", "owner", {"name": "x", "n": 1, "data": {"a": [1]}}),
        ("file", "owner", {"path": "a/b.py", "size_bytes": 3, "sha256": "0" * 64}),
    ],
)
def test_a_model_is_shipped(type: str, visibility: str, fields: dict[str, Any]) -> None:
    model = model_of(type)
    assert model.declared.visibility == visibility
    assert checked_fields(model, fields).items() >= fields.items()
    assert model.model_json_schema()["type"] == "object"


@pytest.mark.parametrize("type", ["task", "item", "file"])
def test_what_a_shipped_model_is_about_must_be_given(type: str) -> None:
    with pytest.raises(InvalidDocument, match="Field required"):
        checked_fields(model_of(type), {})


def test_a_users_own_class_takes_a_shipped_ones_place() -> None:
    class Task(Model):
        what: str

    assert model_of("task") is Task


def test_declaring_and_judging_changes_needs_no_database_library() -> None:
    """Every worker and the front door import this; SQLAlchemy takes half a second."""
    code = "import sys, tasks.models, platform.documents.acceptance; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
