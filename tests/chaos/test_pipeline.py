"""Documents changed over HTTP while the pipeline's workers are killed and frozen: each change once, in order."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos.authors import MODEL, Authors
from tests.chaos.deployment import Deployment
from tests.chaos.following import Reader, histories_of, versions_of
from tests.chaos.outcome import (
    Outcome,
    assert_each_made_one_version,
    assert_ended_as_expected,
    assert_stored,
    assert_told_on_every_channel,
)
from tests.chaos.report import report
from tests.chaos.tormentor import Tormentor
from tests.databases import SERVER, empty
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(3600)

DOCUMENTS, PATCHES, CLIENTS = 200, 2_000, 8
TTL_S = 3.0
QUEUES = ["pipeline.write", "pipeline.route", "fanout"]
WORKERS = ["pipeline.write"] * 4 + ["pipeline.route,fanout"] * 4
#: After the last change is accepted all are made and told within this, in seconds.
SETTLING_S = 60
LAST_STATES = {"completed", "failed", "cancelled"}
ADD_USERS = """
import json, sys
import tasks
from platform.accounts import add_key, add_user
for n in range(int(sys.argv[1])):
    account = add_user(f"author{n}@example.com", "user", "correct horse")
    print(json.dumps([account.id, add_key(f"author{n}@example.com")]))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of an empty database."""
    if request.param == "postgresql" and not SERVER:
        pytest.skip("TEST_DATABASE_URL names no PostgreSQL")
    with empty(request.param, tmp_path) as found:
        yield found


def test_every_change_is_made_and_told_once_in_order_whatever_dies(
    address: str, deploy: Callable[..., Deployment], scale: float, seed: int
) -> None:
    """Two changes of a document meet in several workers, with others that come again: none may be lost or repeated,
    and no resync may stand in for one, for no delivery is late by as much as a version is waited for."""
    scale = max(scale, 0.1)
    # A worker told to end gives back at once what it has.
    settings = {"lease_ttl_s": TTL_S, "shutdown_timeout_s": 0, "stream_max_entries": 10**6, "database_url": address}
    deployment = deploy(WORKERS, concurrency=2, **settings)
    users = [json.loads(line) for line in deployment.run(ADD_USERS, CLIENTS // 2).splitlines()]
    authors = Authors(deployment, [key for _, key in users] * 2, int(DOCUMENTS * scale), int(PATCHES * scale), seed)
    tormentor = Tormentor(deployment, QUEUES, seed, lasting_s=1.5 * TTL_S)
    channels = [f"app:default:model:{MODEL}", f"app:default:user:{users[0][0]}:model:{MODEL}"]
    readers = [Reader(deployment, channel) for channel in channels]
    began = time.monotonic()
    for one in (authors, tormentor, *readers):
        one.start()
    eventually(lambda: authors.accepted or authors.are_done, 120)
    readers.append(Reader(deployment, f"{channels[0]}:{authors.accepted[0].document_id}"))
    readers[-1].start()
    eventually(lambda: authors.are_done, 600 * scale + 60, poll_s=0.3)
    sent_s = time.monotonic() - began
    tormentor.stop()
    assert (authors.errors, tormentor.errors) == ([], [])
    assert all(place.worker.is_alive for place in deployment.places)
    await_end(deployment, SETTLING_S * max(1, scale))
    for reader in readers:
        assert reader.stop() == [], reader.channel
    counts = histories_of(deployment).streams.counts()
    outcome = Outcome(authors.accepted, deployment.jobs(), versions_of(readers[0].frames), counts)
    report(
        f"pipeline on {address.partition(':')[0]}",
        f"{len(authors.accepted)} changes accepted in {sent_s:.0f} s, settled after {time.monotonic() - began:.0f} s",
        *outcome.summary(),
        f"workers: {tormentor}",
        f"{sum(reader.reads for reader in readers)} reads meanwhile",
        f"seed {seed}",
    )
    assert_ended_as_expected(outcome)
    assert_each_made_one_version(outcome)
    assert_stored(outcome, deployment)
    assert_told_on_every_channel(outcome, deployment, readers)
    assert outcome.begun_again > 0, "nothing came again: this run has shown nothing"


def await_end(deployment: Deployment, timeout_s: float) -> None:
    """Return when no job waits or runs any more, those of routing and delivery among them."""

    def have_ended() -> bool:
        counts = deployment.counts()
        left = {state: number for state, number in counts.items() if state not in LAST_STATES and number}
        assert not left, left
        return bool(counts)

    eventually(have_ended, timeout_s, poll_s=0.5)
