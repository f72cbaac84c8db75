"""Models: ``class Note(Model): title: str; n: int = 0`` makes ``/model/note`` and all that belongs to it.

Three are here to begin with. A class of yours of the same type takes their place.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from platform.documents.model import BadModel, DuplicateModel, Model, model_of, models

__all__ = ["BadModel", "DuplicateModel", "File", "Item", "Model", "Task", "model_of", "models"]


class Task(Model, visibility="app", indexes=("status", "assignee"), replaceable=True):
    """Something to be done, seen by everybody of the tenant."""

    title: str = Field(min_length=1, max_length=500)
    status: str = Field("pending", max_length=50)
    assignee: str | None = Field(None, max_length=200)
    n: int = 0
    tags: list[str] = []
    details: dict[str, Any] = {}


class Item(Model, indexes=("name",), replaceable=True):
    """A thing of one's own, with what the program that keeps it wants to know of it."""

    name: str = Field(min_length=1, max_length=500)
    n: int = 0
    data: dict[str, Any] = {}


class File(Model, indexes=("path", "language", "status"), replaceable=True):
    """A file of a folder, and what was found out about it."""

    path: str = Field(min_length=1, max_length=4096)
    size_bytes: int = Field(0, ge=0)
    status: str = Field("new", max_length=50)
    language: str | None = Field(None, max_length=50)
    lines: int | None = Field(None, ge=0)
    words: int | None = Field(None, ge=0)
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
