"""What a subscription is of, as the server is told it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

#: Names of documents, and what frames call them.
OF_DOCUMENTS = {"model": "model", "id": "id", "user_id": "userId"}
KINDS = ("model", "room", "job", "batch")


class Interest(msgspec.Struct, frozen=True, kw_only=True):
    """Documents of a type, one of them, or one user's, that pass ``filter``; or a room, a job or a batch.

    Raises ValueError for more than one of these or none, and for what has no meaning together.
    """

    model: str | None = None
    id: str | None = None
    user_id: str | None = None
    room: str | None = None
    job: str | None = None
    batch: str | None = None
    filter: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        given = [name for name in KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"follow one of {', '.join(KINDS)} at a time, not {' and '.join(given) or 'nothing'}")
        stray = [name for name in ("id", "user_id", "filter") if getattr(self, name) is not None]
        if stray and self.model is None:
            raise ValueError(f"{' and '.join(stray)} can only be said of a model")

    @property
    def members(self) -> dict[str, Any]:
        """Of ``subscribe``, and of ``resume``'s subscriptions."""
        if self.model is None:
            return {name: value for name in KINDS if (value := getattr(self, name)) is not None}
        named = {theirs: getattr(self, ours) for ours, theirs in OF_DOCUMENTS.items()}
        channel = {name: value for name, value in named.items() if value is not None}
        return {"channel": channel} | ({} if self.filter is None else {"filter": self.filter})
