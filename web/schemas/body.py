"""What bodies have in common, and the answers that are no JSON."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

MAX_ARGUMENTS = 10_000

# Members are up to the function, provider or action.
Members = Annotated[dict[str, Any], Field(examples=[{"path": "/some/folder"}])]


class Html(str):
    """An answer that is a page."""


class EventStream(str):
    """An answer that goes on for as long as somebody reads it."""


class Lines(str):
    """An answer of many lines, each of them JSON."""


class Body(BaseModel):
    """A request body: unknown members are an error."""

    model_config = ConfigDict(extra="forbid")


def whole(value: object) -> object:
    """JSON Schema calls 9.0 an integer; strict pydantic does not."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
