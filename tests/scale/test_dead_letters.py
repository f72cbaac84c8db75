"""A hundred thousand dead letters: parked, listed and filtered without a scan."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from platform import embedded as server
from platform.deadletters.letter import Reason
from platform.deadletters.register import DeadLetters, Death, Filter
from platform.envelope import Envelope
from platform.settings import Settings
from tasks import app

pytestmark = [pytest.mark.scale, pytest.mark.timeout(900)]

LETTERS = 100_000
TRACEBACK = 'Traceback (most recent call last):\n  File "/srv/shop/reports.py", line 41, in render\n' * 8
ERROR = {"type": "ValueError", "message": "the report has no summary", "traceback": TRACEBACK}
REASONS = list(Reason)
#: What one question may keep the server busy. Generous: machines are shared.
MOST_BUSY_MS = 200


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeadLetters]:
    """A hundred thousand letters over 8 reasons, 20 tasks and 2 queues, parked one by one."""
    folder = tmp_path_factory.mktemp("m")
    place = server.ensure_running(folder)
    with redis.Redis.from_url(place.url) as client:
        filled = DeadLetters(client, Settings())
        made = app.amqp.as_task_v2("x", "task", [1, 2], {"path": "/some/folder"}, retries=3)
        model = Envelope(b'[[1, 2], {"path": "/some/folder"}, {}]', made.headers, "application/x-platform+json",
                         "utf-8", made.properties, "offload")  # fmt: skip
        deaths = [_death(model, number) for number in range(LETTERS)]
        client.config_resetstat()
        began = time.perf_counter()
        for death in deaths:
            filled.park(death)
        took_s = time.perf_counter() - began
        busy_us = client.info("commandstats")["cmdstat_evalsha"]["usec"] / LETTERS
        print(f"\nparked {LETTERS / took_s:.0f} letters/s, one by one; the server is busy {busy_us:.0f} µs with each")
        yield filled
    server.stop(folder)


def _death(model: Envelope, number: int) -> Death:
    task, queue = f"task{number % 20}", "batch" if number % 2 else "offload"
    envelope = replace(model.with_headers(id=f"{number:036}", task=task), queue=queue)
    reason = REASONS[number // 20 % 8]
    return Death(reason, ERROR, envelope.as_text(), f"{number:036}", task, queue, attempts=4, owner="x" * 36)


@pytest.mark.parametrize(
    ("wanted", "offset", "total"),
    [
        (Filter(), 0, LETTERS),
        (Filter(), LETTERS - 50, LETTERS),
        (Filter(reason="expired"), 6_000, 12_500),
        (Filter(reason="expired", task="task3"), 0, 625),
        (Filter(reason="expired", task="task3", queue="batch"), 575, 625),
        (Filter(queue="batch", task="task4"), 0, 0),
    ],
)
def test_a_page_is_found_without_a_scan(letters: DeadLetters, wanted: Filter, offset: int, total: int) -> None:
    letters.client.config_resetstat()
    began = time.perf_counter()
    page = letters.list(wanted, offset=offset, limit=50)
    took_ms = (time.perf_counter() - began) * 1000
    stats = letters.client.info("commandstats")
    busy_ms = sum(stat["usec"] for name, stat in stats.items() if name.startswith("cmdstat_eval")) / 1000
    print(f"{wanted} from {offset}: {took_ms:.1f} ms, server busy {busy_ms:.1f} ms")
    assert (page.total, len(page.items), page.is_exact) == (total, min(50, total), True)
    assert not {"cmdstat_keys", "cmdstat_scan"} & set(stats)
    assert busy_ms < MOST_BUSY_MS


def test_all_that_match_are_gone_through_in_order(letters: DeadLetters) -> None:
    began = time.perf_counter()
    found = list(letters.matching(Filter(reason="expired"), 1 << 52))
    print(f"{len(found)} letters gone through in {time.perf_counter() - began:.2f} s")
    assert len(found) == 12_500
    assert found == sorted(found)


def test_memory_per_letter_is_known(letters: DeadLetters) -> None:
    per_letter = letters.client.info("memory")["used_memory"] / LETTERS
    size = len(letters.list(limit=1).items[0].message)
    print(f"{per_letter:.0f} bytes per letter and job; message {size}, traceback {len(TRACEBACK)} of them")
    assert per_letter < 8_000
