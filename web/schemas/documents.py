"""``/model``; what fits a model is in the model's own class."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema, create_model

from platform.documents.model import Model
from platform.documents.patch import MAX_OPERATIONS
from web.schemas.paging import PageAnswer, Paging

POINTER = r"^(/([^/~]|~[01])*)*$"
OPERATION: dict[str, JsonValue] = {
    "type": "object",
    "required": ["op", "path"],
    "properties": {
        "op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]},
        "path": {
            "anyOf": [{"type": "string", "pattern": POINTER}, {"type": "array", "items": {"type": "string"}}],
            "description": 'where: `"/title"`, or as a list `["title"]`, which is how frames name it',
        },
        "value": {"description": "of `add`, `replace` and `test`; with a list as path, a list of exactly one"},
        "from": {
            "anyOf": [{"type": "string", "pattern": POINTER}, {"type": "array", "items": {"type": "string"}}],
            "description": "of `move` and `copy`",
        },
    },
}
#: Looked through by ``platform.documents.patch``, whose words name the operation that is wrong.
Patch = Annotated[
    Any,
    WithJsonSchema(
        {
            "type": "array",
            "items": OPERATION,
            "minItems": 1,
            "maxItems": MAX_OPERATIONS,
            "examples": [[{"op": "replace", "path": "/title", "value": "another"}]],
        }
    ),
]


class ChangeAnswer(BaseModel):
    """A change that was accepted. Its job ends when it is stored, or refused."""

    id: str = Field(description="the document's")
    job_id: str


class DeletedAnswer(ChangeAnswer):
    """A document that is gone."""

    type: str
    version: int = Field(description="that of its end")


class SystemFields(BaseModel):
    """What every document has beside its own fields. Times are ISO 8601 in UTC, with milliseconds."""

    appId: str = Field(description="its tenant")
    userId: str = Field(description="whose it is")
    type: str
    id: str
    version: int = Field(description="counts its changes from 1")
    createdAt: str
    updatedAt: str


class DocumentFilter(Paging):
    """Which documents."""

    filter: str | None = Field(
        None,
        description='JSON such as `{"status": "open", "n": {"$gte": 3}}`: `$eq $ne $gt $gte $lt $lte $in $nin $exists '
        "$and $or $not` over dotted fields; a bare value means `$eq`",
    )


@cache
def document_of(model: type[Model]) -> type[BaseModel]:
    """A stored document of that model, as the API's description has it."""
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in model.model_fields.items()}
    return create_model(f"{model.__name__}Document", __base__=SystemFields, __doc__=model.__doc__, **fields)


@cache
def page_of_documents(model: type[Model]) -> type[BaseModel]:
    document = document_of(model)
    return create_model(f"{model.__name__}Page", __base__=PageAnswer, items=(list[document], ...))  # type: ignore[valid-type]


class AnyDocument(SystemFields):
    """A document; which fields it has is up to its model."""

    model_config = ConfigDict(extra="allow")


class AnyDocumentPage(PageAnswer):
    items: list[AnyDocument]
