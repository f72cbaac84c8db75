"""``/audit``"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from web.schemas.paging import PageAnswer, Paging


class AuditAnswer(BaseModel):
    """One act."""

    id: int
    at: str
    actor: str = Field(description="an e-mail address, or `cli:` and who sat at the terminal")
    action: str = Field(examples=["dead_letter.replay"])
    subject: str = Field(description="what it was done to; empty for many")
    details: dict[str, Any]


class AuditPage(PageAnswer):
    items: list[AuditAnswer]


class AuditFilter(Paging):
    action: str | None = Field(None, max_length=64)
    subject: str | None = Field(None, max_length=255)
