"""Documents through the pipeline: one for each file, looked into by a stage of one's own, then patched."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from web.client import APIError, Document
from web.demo.act import Outcome, Stage, duration, percentile
from web.demo.failure import DemoFailed

TITLE = "Pipeline"

TYPE = "file"
MAX_DOCUMENTS = 300
SENDERS = 8
WAIT_S = 20.0
POLL_S = 0.25
STUCK_S = 60.0
SEEN = [{"op": "test", "path": "/status", "value": "measured"}, {"op": "replace", "path": "/status", "value": "seen"}]

Found = Document[dict[str, Any]]


def play(stage: Stage) -> Outcome:
    paths = [str(file) for file in stage.folder.sample(MAX_DOCUMENTS)]
    began = time.monotonic()
    documents = _all_stored(stage, _created(stage, paths))
    stored_s = time.monotonic() - began
    times_s = _patched(stage, documents)
    took_s = time.monotonic() - began
    long = list(stage.client.model(TYPE).list({"status": "seen", "lines": {"$gte": 100}}))
    return Outcome(
        headline=f"{len(documents)} documents created and patched, {2 * len(documents) / took_s:,.0f} changes a second",
        count=2 * len(documents),
        took_s=took_s,
        times_s=times_s,
        notes=[
            f"POST /model/{TYPE}: {len(documents)} accepted, measured by a stage of one's own and stored in "
            f"{duration(stored_s)}",
            f"PATCH with If-Match and Prefer: wait: stored in {duration(percentile(times_s, 0.5))} "
            f"(p95 {duration(percentile(times_s, 0.95))})",
            f"the same patch for the old version: {_refused(stage, documents[0])}",
            f"GET /model/{TYPE}?filter=… finds {len(long)} of at least 100 lines",
        ],
    )


def _created(stage: Stage, paths: Sequence[str]) -> list[str]:
    """The ids of documents that were asked for."""
    files, ids = stage.client.model(TYPE), []
    with ThreadPoolExecutor(SENDERS) as senders:
        for accepted in senders.map(lambda path: files.create({"path": path}), paths):
            ids.append(accepted.id)
            stage.report(0, 2 * len(paths), f"{len(ids)} accepted")
    return ids


def _all_stored(stage: Stage, ids: Sequence[str]) -> list[Found]:
    """The documents once all are there. Raises DemoFailed when none is stored for a while."""
    wanted, stored, last_change = set(ids), 0, time.monotonic()
    while True:
        there = [one for one in stage.client.model(TYPE).list({"status": "measured"}) if one.id in wanted]
        stage.report(len(there), 2 * len(ids), "stored")
        if len(there) == len(ids):
            return there
        if len(there) > stored:
            stored, last_change = len(there), time.monotonic()
        if time.monotonic() - last_change > STUCK_S:
            raise DemoFailed(f"no document was stored for {STUCK_S:g} s, {len(ids) - stored} of {len(ids)} are left")
        time.sleep(POLL_S)


def _patched(stage: Stage, documents: Sequence[Found]) -> list[float]:
    """How long each took, in seconds. Raises DemoFailed for one that is not as it should be afterwards."""
    times_s = []
    with ThreadPoolExecutor(SENDERS) as senders:
        for number, took_s in enumerate(senders.map(lambda one: _patch(stage, one), documents), 1):
            times_s.append(took_s)
            stage.report(len(documents) + number, 2 * len(documents), "patched")
    return times_s


def _patch(stage: Stage, document: Found) -> float:
    began = time.monotonic()
    after = stage.client.model(TYPE).patch(document.id, SEEN, if_version=document.version, wait_s=WAIT_S)
    if (after.version, after.fields) != (document.version + 1, document.fields | {"status": "seen"}):
        raise DemoFailed(f"document {document.id} is not what its patch makes of it: {after}")
    return time.monotonic() - began


def _refused(stage: Stage, document: Found) -> str:
    try:
        stage.client.model(TYPE).patch(document.id, SEEN, if_version=document.version, wait_s=WAIT_S)
    except APIError as exc:
        if exc.status_code != 409:
            raise
        return f"409, {exc.message.partition(';')[0]}"
    raise DemoFailed("a patch for an old version was accepted")
