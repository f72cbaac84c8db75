"""Whether a schedule's owner may still work: the schedules of a disabled account make no jobs."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

log = logging.getLogger(__name__)

RECENT_TTL_S, MOST = 5.0, 10_000


def is_active(account_id: str) -> bool:
    """The answer may be five seconds old. While the database is away every owner is taken for active."""
    from platform.accounts import find_account
    from platform.database import DatabaseUnavailable

    try:
        return _recent().get(account_id, find_account) is not None
    except DatabaseUnavailable as exc:
        log.warning("whether account %s is active is not known: %s", account_id, exc)
        return True


@cache
def _recent() -> Any:
    from platform.accounts import RecentAnswers

    return RecentAnswers(RECENT_TTL_S, MOST)
