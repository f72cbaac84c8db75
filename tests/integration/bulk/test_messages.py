"""Whatever is submitted in one call is what ``apply_async`` would have sent one by one, field by field."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import signals

from platform.delayed.schedule import delayed
from platform.envelope import Envelope
from platform.jobs.ledger import Ledger
from tasks.bulk import BulkFailed, submit_many
from tests.samples import bulky

Take = Callable[[str], list[Envelope]]
QUEUES = ("offload", "batch")
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:[\d.]+(\+00:00|Z)")
FAR = datetime(2030, 1, 1, tzinfo=UTC)

ITEMS: list[tuple[Any, tuple, dict]] = [
    (bulky.add, (1,), {}),
    (bulky.add, (1.5, 'it\'s\n"ü" % %s'), {}),
    (bulky.add, (), {"a": True, "b": None}),
    (bulky.add, ([1, {"x": "y" * 2000}],), {"b": {"deep": [[[1]]]}}),
    (bulky.add, (datetime(2026, 1, 1, tzinfo=UTC),), {}),
    (bulky.urgent, (b"bytes",), {"more": 1}),
    (bulky.urgent, (), {}),
    (bulky.limited, (1,), {}),
    (bulky.squeezed, ("x" * 500,), {}),
    (bulky.stamped, (1, 2), {}),
    (bulky.named, (1,), {}),
    (bulky.typed, (bulky.Point(x=3),), {}),
]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"queue": "batch", "priority": 9},
    {"priority": 0, "expires": 60},
    {"expires": FAR, "headers": {"x": [1]}},
    {"shadow": "another", "time_limit": 5, "soft_time_limit": 2},
    {"link": bulky.add.s(2), "link_error": bulky.add.si(1)},
    {"compression": "zlib"},
]


def shape(envelope: Envelope) -> Any:
    """All a message says, but for ids and times."""
    headers = {name: _plain(value) for name, value in envelope.headers.items()}
    properties = {name: _plain(value) for name, value in envelope.properties.items()}
    body = envelope.body if "compression" in envelope.headers else ID.sub("ID", envelope.body.decode())
    return body, headers, envelope.content_type, envelope.content_encoding, properties, envelope.queue


def _plain(value: Any) -> Any:
    return TIME.sub("TIME", ID.sub("ID", value)) if isinstance(value, str) else value


def all_of(take: Take) -> list[Envelope]:
    return [envelope for queue in QUEUES for envelope in take(queue)]


def record(records: Ledger, job_id: str) -> dict[str, Any]:
    return {
        name: value for name, value in records.get(job_id).as_dict().items() if name not in ("job_id", "created_at")
    }


@pytest.fixture
def emptied(client, sender, take: Take) -> Callable[[], list[Envelope]]:
    """Takes all messages there are, and leaves none."""

    def take_all() -> list[Envelope]:
        found = all_of(take)
        for key in client.scan_iter("*queue:*"):
            client.delete(key)
        return found

    return take_all


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options) or "none")
@pytest.mark.parametrize(("task", "args", "kwargs"), ITEMS)
def test_a_message_and_its_record_are_those_of_apply_async(
    task: Any, args: tuple, kwargs: dict, options: dict, emptied: Callable[[], list[Envelope]], records: Ledger
) -> None:
    alone = task.apply_async(args, kwargs, **options).id
    (theirs,) = emptied()
    several = submit_many(task, [{"args": args, "kwargs": kwargs}] * 3, **options)
    ours = emptied()
    assert [shape(one) for one in ours] == [shape(theirs)] * 3
    assert [one.headers["id"] for one in ours] == [one.properties["correlation_id"] for one in ours] == list(several)
    assert len({one.headers["root_id"] for one in ours}) == 3
    assert [record(records, one) for one in several] == [record(records, alone)] * 3


def test_items_may_be_tuples_lists_dicts_and_signatures(emptied: Callable[[], list[Envelope]]) -> None:
    items = [
        (1, 2),
        [1, 2],
        {"args": (1, 2)},
        {"kwargs": {"a": 1, "b": 2}},
        {"task": "bulky.urgent", "args": [1], "priority": 3},
        bulky.add.s(1, 2),
        bulky.add.si(1, b=2).set(priority=9, countdown=0),
        bulky.urgent.s(1).set(queue="offload", headers={"h": 1}),
    ]
    submitted = submit_many(bulky.add, items)
    ours = {envelope.headers["id"]: envelope for envelope in emptied()}
    theirs = [
        bulky.add.delay(1, 2),
        bulky.add.apply_async([1, 2]),
        bulky.add.delay(1, 2),
        bulky.add.delay(a=1, b=2),
        bulky.urgent.apply_async([1], priority=3),
        bulky.add.delay(1, 2),
        bulky.add.apply_async((1,), {"b": 2}, priority=9),
        bulky.urgent.apply_async((1,), queue="offload", headers={"h": 1}),
    ]
    alone = {envelope.headers["id"]: envelope for envelope in emptied()}
    assert [shape(ours[one]) for one in submitted] == [shape(alone[one.id]) for one in theirs]


def test_messages_of_a_queue_keep_the_order_of_their_items(take: Take) -> None:
    items = [{"task": f"bulky.{name}", "args": [number], "queue": "batch", "priority": 5}
             for number, name in enumerate(["add", "urgent", "limited"] * 20)]  # fmt: skip
    submitted = submit_many(None, items, chunk_size=7)
    assert [envelope.headers["id"] for envelope in take("batch")] == list(submitted)


@pytest.mark.parametrize("when", [{"countdown": 3600}, {"eta": FAR}, {"eta": FAR.isoformat()}])
@pytest.mark.parametrize("task", [bulky.add, bulky.stamped, bulky.single])
def test_jobs_that_wait_for_their_time_are_in_the_schedule(
    task: Any, when: dict, records: Ledger, emptied: Callable[[], list[Envelope]]
) -> None:
    alone = task.apply_async((0,), **when).id
    several = submit_many(task, [(1,), (2,), (3,)], **when, chunk_size=2)
    theirs, ours = delayed().get(alone), [delayed().get(job_id) for job_id in several]
    assert theirs is not None
    assert [one and one.envelope.headers["id"] for one in ours] == list(several)
    assert [one and shape(one.envelope)[2:] for one in ours] == [shape(theirs.envelope)[2:]] * 3
    assert all(one and abs(one.due_ms - theirs.due_ms) < 10_000 for one in ours)
    assert {(records.get(one).state, records.get(one).eta is not None) for one in several} == {("scheduled", True)}
    assert emptied() == []


def test_whose_jobs_they_are_and_how_often_they_are_tried(records: Ledger, take: Take) -> None:
    submitted = submit_many(bulky.add, [(1,), {"args": (2,), "max_retries": 9}], owner="ann", app_id="x", max_retries=1)
    jobs = [records.get(job_id) for job_id in submitted]
    assert [(job.owner, job.app_id, job.max_retries) for job in jobs] == [("ann", "x", 1), ("ann", "x", 9)]
    assert [envelope.headers["owner"] for envelope in take("offload")] == ["ann", "ann"]


@contextmanager
def hearing(*names: str) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    heard: list[tuple[str, dict[str, Any]]] = []
    receivers = []
    for name in names:

        def hear(name: str = name, **what: Any) -> None:
            what.pop("signal")
            heard.append((name, what))

        getattr(signals, name).connect(hear, weak=False)
        receivers.append((name, hear))
    try:
        yield heard
    finally:
        for name, receiver in receivers:
            getattr(signals, name).disconnect(receiver)


def test_celerys_signals_hear_of_each_message_as_of_any_other(records: Ledger, take: Take) -> None:
    names = ("before_task_publish", "after_task_publish")
    with hearing(*names) as theirs:
        bulky.add.delay(1)
    with hearing(*names) as ours:
        submitted = submit_many(bulky.add, [(1,), (1,)])
        assert [name for name, _ in ours] == [*names[:1] * 2, *names[1:] * 2]
    for place, (name, what) in enumerate(ours):
        expected = dict(theirs)[name]
        assert set(what) == set(expected)
        assert (what["sender"], what["body"], what["routing_key"]) == (
            "bulky.add",
            ((1,), {}, expected["body"][2]),
            "offload",
        )
        assert what["headers"]["id"] == submitted[place % 2]
    assert len(take("offload")) == 3


def test_what_a_signal_puts_into_the_headers_travels(take: Take) -> None:
    def trace(headers: dict[str, Any], **_: Any) -> None:
        headers["trace"] = headers["id"]

    signals.before_task_publish.connect(trace)
    try:
        submitted = submit_many(bulky.add, [(1,), (2,), (3,)])
    finally:
        signals.before_task_publish.disconnect(trace)
    assert [envelope.headers["trace"] for envelope in take("offload")] == list(submitted)


def test_after_task_publish_is_silent_about_what_was_not_published(client) -> None:
    client.set("{platform}:job:b", "no record")
    with hearing("after_task_publish") as heard, pytest.raises(BulkFailed):
        submit_many(bulky.add, [{"args": (1,), "task_id": name} for name in "ab"])
    assert heard == []


def test_expiry_counts_from_when_a_chunk_is_made(take: Take) -> None:
    submit_many(bulky.add, [(1,)] * 4, expires=100, chunk_size=2)
    now = datetime.now(UTC)
    times = [datetime.fromisoformat(envelope.headers["expires"]) for envelope in take("offload")]
    assert all(timedelta(seconds=80) < moment - now <= timedelta(seconds=100) for moment in times)
    assert len(set(times)) >= 2
