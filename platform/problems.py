"""RFC 9457 ``application/problem+json``: what every program answers over HTTP when something is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

CONTENT_TYPE = "application/problem+json"
#: Of a 503: what is away is asked for again after so long.
RETRY_AFTER_S = 2


def document(
    status: int, detail: str, errors: Sequence[Mapping[str, Any]] = (), request_id: str | None = None
) -> dict[str, Any]:
    """The body. ``errors`` is a list of ``{"loc": [...], "msg": ...}``."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "errors": list(errors),
        "request_id": request_id,
    }
