"""The ``Prefer`` header (RFC 7240): ``wait=N`` and ``respond-async``."""

from __future__ import annotations

from flask import request

from web.waiting import MAX_WAIT_S


def wait_seconds(default_s: float) -> float:
    """How long this request wants to wait: 0 with ``respond-async``, at most 30; else the default.

    What is not understood is ignored, as the RFC has it.
    """
    wanted = default_s
    for part in request.headers.get("Prefer", "").split(","):
        name, _, value = part.strip().partition("=")
        if name.lower() == "respond-async":
            return 0.0
        if name.lower() == "wait":
            wanted = _seconds(value.strip('" '), default_s)
    return max(0.0, min(wanted, MAX_WAIT_S))


def _seconds(text: str, otherwise: float) -> float:
    try:
        return float(text)
    except ValueError:
        return otherwise
