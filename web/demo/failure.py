"""Why a demonstration did not go as it should."""

from __future__ import annotations


class DemoFailed(Exception):
    """One sentence that says what happened and what to do."""
