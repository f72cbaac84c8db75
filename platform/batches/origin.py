"""Who makes a batch, and what follows from it: its id, its parent, whose it is."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from celery import current_app

from platform import settings as configuration
from platform.batches.running import current_item
from platform.envelope import replays_of
from platform.publishing import OWNER_HEADERS
from platform.serialization import canonical


def is_made_by_a_job() -> bool:
    """Whether what runs here is a job, or an item of a batch."""
    return current_item() is not None or bool(current_app.current_worker_task)


def derived_id(content: str = "") -> str:
    """Of a batch made inside an item or a job one that its run, should it be repeated after a death, makes again.

    Another try, a retry of the item and a replay of the job make others. ``content`` is a digest of what the batch is
    to do, where that is known. Outside a job the id is nobody else's.
    """
    item, job = current_item(), current_app.current_worker_task
    if item is not None:
        item.made += 1
        maker = f"{item.batch_id} {item.index} {item.repairs} {item.tries} {item.made}"
    elif job:
        job.request.batches_made = getattr(job.request, "batches_made", 0) + 1
        lives = replays_of(job.request.headers or {})
        maker = f"{job.request.id} {lives} {job.request.retries} {job.request.batches_made}"
    else:
        return str(uuid.uuid4())
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"batch of {maker} {content}"))


def digest(content: Any) -> str:
    """The same text for equal values. Raises NotJSON."""
    return hashlib.sha256(canonical(content)).hexdigest()


def parent_id() -> str:
    """The batch whose item makes this one, or else the job that does."""
    item = current_item()
    if item is not None:
        return item.batch_id
    job = current_app.current_worker_task
    return job.request.id if job else ""


def owner_of(owner: str | None, app_id: str | None) -> dict[str, str]:
    """Whose a batch is, as its record says it; what is not given is as of the job that makes it."""
    job = current_app.current_worker_task
    inherited = {name: (job.request.headers or {}).get(name) for name in OWNER_HEADERS} if job else {}
    own_app = app_id if app_id is not None else inherited.get("app_id") or configuration.settings().app_id
    return {"owner": owner if owner is not None else inherited.get("owner") or "", "app_id": own_app}
