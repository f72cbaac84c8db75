"""Lists, page by page."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class PageAnswer(BaseModel):
    """One page of a list."""

    total: int
    page: int
    limit: int
    pages: int


class Paging(BaseModel):
    """Which part of a list."""

    model_config = ConfigDict(extra="forbid")
    page: int = Field(1, ge=1, le=1_000_000, description="counts from 1")
    limit: int = Field(50, ge=1, le=500, description="items per page")

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.limit


def page_of(items: list[dict[str, Any]], total: int, paging: Paging) -> dict[str, Any]:
    pages = -(-total // paging.limit)
    return {"items": items, "total": total, "page": paging.page, "limit": paging.limit, "pages": pages}
