"""The ``scope`` of ``POST /session/tokens``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from platform import serialization
from platform.documents.errors import UnknownModel
from platform.documents.filters import BadFilter, parsed
from platform.documents.model import TYPE_PATTERN, model_of
from web.schemas.body import Body

MAX_ENTRIES = 100
#: A token is a third longer, and must fit into a header or an address of 8 KiB.
MAX_BYTES = 4_096


def _readable(filter: dict[str, Any]) -> dict[str, Any]:
    try:
        parsed(filter)
    except BadFilter as exc:
        raise PydanticCustomError("filter", "{problem}", {"problem": str(exc)}) from exc
    return filter


def _of_known_models(filters: dict[str, Any]) -> dict[str, Any]:
    """A misspelt model's filter would leave the one that was meant without."""
    try:
        for type_ in filters:
            model_of(type_)
    except UnknownModel as exc:
        raise PydanticCustomError("model", "{problem}", {"problem": str(exc)}) from exc
    return filters


ModelType = Annotated[str, Field(pattern=f"^{TYPE_PATTERN.pattern}$")]
RoomPattern = Annotated[str, Field(pattern=r"^\S{1,129}$")]
CallPattern = Annotated[str, Field(pattern=r"^[^/*\s]{1,128}/([^/*\s]{1,128}|[*])$")]
Filters = Annotated[
    dict[str, Annotated[dict[str, Any], AfterValidator(_readable)]],
    Field(max_length=MAX_ENTRIES),
    AfterValidator(_of_known_models),
]


class ScopeRequest(Body):
    """What the token allows of what the account may do; what is null or left out is not narrowed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"models": ["task"], "filters": {"task": {"assignee": "ann"}}, "rooms": ["lobby", "team-*"],
                 "publish": False, "calls": ["Chat/*"], "jobs": False}
            ]
        }
    )  # fmt: skip

    models: list[ModelType] | None = Field(None, max_length=MAX_ENTRIES, description="whose changes may be followed")
    filters: Filters | None = Field(
        None, description="by model, as in GET /model/{type}: of its documents only those that match are told"
    )
    rooms: list[RoomPattern] | None = Field(
        None, max_length=MAX_ENTRIES, description="rooms; `team-*` is all whose names begin so"
    )
    publish: bool = Field(True, description="whether it may speak in these rooms")
    calls: list[CallPattern] | None = Field(
        None, max_length=MAX_ENTRIES, description="functions: `Chat/say`, or `Chat/*` for a whole module"
    )
    jobs: bool = Field(True, description="whether jobs and batches may be followed")

    @model_validator(mode="after")
    def _fits_into_a_token(self) -> ScopeRequest:
        found = len(serialization.encode(self.model_dump(exclude_defaults=True)))
        if found > MAX_BYTES:
            problem = {"found": found, "most": MAX_BYTES}
            raise PydanticCustomError("too_long", "A scope has at most {most} bytes of JSON, not {found}", problem)
        return self
