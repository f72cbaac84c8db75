"""Lists stay quick at a million records: no scan, whatever is asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice

import pytest
import redis

from platform import embedded as server
from platform.jobs.facts import NewJob
from platform.jobs.ledger import Ledger
from platform.jobs.states import State
from platform.settings import Settings

pytestmark = [pytest.mark.scale, pytest.mark.timeout(900)]

JOBS = 1_000_000
BATCH = 2_000
# What one question may keep the server busy; a scan of a million keys takes seconds. Generous: machines are shared.
MOST_BUSY_MS = 200


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """A million jobs: 1 in 10 completed, 1 in 100 failed, the rest pending, over 2 queues, 20 tasks, 50 owners."""
    folder = tmp_path_factory.mktemp("m")
    place = server.ensure_running(folder)
    with redis.Redis.from_url(place.url, decode_responses=True) as client:
        filled = Ledger(client, Settings())
        fill(filled)
        yield filled
    server.stop(folder)


def fill(ledger: Ledger) -> None:
    """What ``create`` and ``fail`` or ``complete`` write, the script calls in pipelines."""
    create, finish = (ledger.client.script_load(ledger._scripts[name].script) for name in ("create", "finish"))
    numbers = iter(range(JOBS))
    while batch := list(islice(numbers, BATCH)):
        with ledger.client.pipeline(transaction=False) as pipe:
            for number in batch:
                _add(ledger, pipe, create, finish, number)
            pipe.execute()


def _add(ledger: Ledger, pipe: redis.client.Pipeline, create: str, finish: str, number: int) -> None:
    queue = "batch" if number % 2 else "offload"
    job = NewJob(f"{number:07}", f"task{number % 20}", queue, 5, owner=f"owner{number % 50}")
    pairs = [part for pair in job.fields(1_000_000 + number).items() for part in pair]
    pipe.evalsha(create, 0, ledger.prefix, job.job_id, "pending", 0, 0, "", *pairs)
    outcome = "completed" if number % 10 == 0 else "failed" if number % 100 == 1 else None
    if outcome:
        pipe.evalsha(finish, 0, ledger.prefix, job.job_id, 5_000_000, outcome, ",pending,", "", 60_000, 0)


@pytest.mark.parametrize(
    ("filters", "offset", "total"),
    [
        ({}, 0, JOBS),
        ({}, 999_950, JOBS),
        ({"state": State.COMPLETED}, 50_000, 100_000),
        ({"queue": "batch"}, 400_000, 500_000),
        ({"task": "task3"}, 0, 50_000),
        ({"owner": "owner7"}, 19_950, 20_000),
        ({"owner": "owner1", "state": State.FAILED}, 0, 10_000),
        ({"owner": "owner7", "queue": "batch"}, 0, 20_000),
    ],
)
def test_a_page_is_found_without_a_scan(ledger: Ledger, filters: dict, offset: int, total: int) -> None:
    ledger.client.config_resetstat()
    began = time.perf_counter()
    page = ledger.list(**filters, offset=offset, limit=50)
    took_ms = (time.perf_counter() - began) * 1000
    stats = ledger.client.info("commandstats")
    busy_ms = sum(stat["usec"] for name, stat in stats.items() if name.startswith("cmdstat_eval")) / 1000
    print(f"{filters} from {offset}: {took_ms:.1f} ms, server busy {busy_ms:.1f} ms")
    assert (page.total, len(page.items)) == (total, 50)
    assert not {"cmdstat_keys", "cmdstat_scan"} & set(stats)
    assert busy_ms < MOST_BUSY_MS


def test_a_question_too_broad_is_bounded(ledger: Ledger) -> None:
    ledger.client.config_resetstat()
    page = ledger.list(queue="batch", owner="owner8", limit=50)  # nobody: an odd queue, an even owner
    assert (page.total, page.items, page.is_exact) == (0, [], True)
    page = ledger.list(queue="offload", task="task7", limit=50)
    assert (page.items, page.is_exact) == ([], True)
    busy_ms = ledger.client.info("commandstats")["cmdstat_evalsha"]["usec"] / 1000
    assert busy_ms < MOST_BUSY_MS


def test_memory_per_job_is_known(ledger: Ledger) -> None:
    per_job = ledger.client.info("memory")["used_memory"] / JOBS
    print(f"{per_job:.0f} bytes per job")
    assert per_job < 2_000
