"""``/resources``"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class ResourceAnswer(BaseModel):
    """A resource as last stored."""

    provider: str
    type: str
    name: str
    version: int
    properties: dict[str, Any]
    job_id: str
    updated_at: str
