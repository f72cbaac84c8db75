from __future__ import annotations

from tests.databases import database as database  # noqa: PLC0414
