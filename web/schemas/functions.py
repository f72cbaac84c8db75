"""``/api``"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class FunctionAnswer(BaseModel):
    """What a function returned."""

    result: Any
    job_id: str
