"""A worked example of a batch: synthetic test accounts, as many as are asked for, made up from their number.

``POST /api/accounts/generate {"count": 5000, "priority": "high"}`` answers with a batch at once; ``/batches/{id}`` and
a socket tell how far it is, ``/batches/{id}/results`` has the accounts. The same number and seed make the same account,
so that an item that runs twice does no harm.
"""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from platform.batches.record import Batch
from tasks.batch import create_batch, item_task
from tasks.modules import function

PRIORITIES = {"low": 2, "normal": 5, "high": 8}
MOST = 100_000

FIRST = (
    "Ada",
    "Ben",
    "Chloe",
    "Dmitri",
    "Elif",
    "Farah",
    "Goran",
    "Hana",
    "Ivo",
    "Jun",
    "Kofi",
    "Lena",
    "Mina",
    "Noor",
)
LAST = ("Abara", "Berg", "Costa", "Dahl", "Eriksen", "Fontaine", "Garcia", "Haddad", "Ito", "Jansen", "Kaya", "Lindt")
PLANS = ("free", "team", "business")
FIRST_DAY = date(2020, 1, 1)


@item_task(public=True)
def make(number: int, seed: str = "") -> dict[str, Any]:
    """One test account. Its address ends in ``.example``, where no mail ever arrives (RFC 2606)."""
    lot = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    first, last = FIRST[lot[0] % len(FIRST)], LAST[lot[1] % len(LAST)]
    return {
        "id": f"test-{number:06d}",
        "name": f"{first} {last}",
        "email": f"{first}.{last}.{number}@accounts.example".lower(),
        "plan": PLANS[lot[2] % len(PLANS)],
        "created_on": (FIRST_DAY + timedelta(days=int.from_bytes(lot[3:5], "big") % 2_000)).isoformat(),
        "is_active": lot[5] % 10 > 0,
    }


@function("accounts")
def generate(
    count: Annotated[int, Field(ge=1, le=MOST)],
    priority: Literal["low", "normal", "high"] | Annotated[int, Field(ge=0, le=9)] = "normal",
    seed: str = "",
) -> dict[str, Any]:
    """Make up so many test accounts, as a batch; its id and where to follow it."""
    batch = create_batch(make, count=count, kwargs={"seed": seed}, priority=_number_of(priority))
    return {"batch_id": batch.batch_id, "total": batch.total, **_places(batch)}


def _number_of(priority: str | int) -> int:
    return PRIORITIES[priority] if isinstance(priority, str) else priority


def _places(batch: Batch) -> dict[str, str]:
    stem = f"/batches/{batch.batch_id}"
    return {"batch": stem, "results": f"{stem}/results", "events": f"/events?batch={batch.batch_id}"}
