"""The scripts alone: an item has one outcome, a callback is decided on once, and what was left undone is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from platform.batches import acts, creation, mending
from platform.batches.chunks import chunk_job_id
from platform.batches.creation import NewBatch
from platform.batches.errors import BatchOver, InvalidBatch, UnknownBatch
from platform.batches.publishing import publish_callbacks
from platform.batches.record import Batch
from platform.batches.register import Batches, HandOver, Outcome, batches
from platform.batches.states import ItemState
from platform.jobs.ledger import ledger
from platform.jobs.states import State
from tasks import app

app.load_everything()


@app.task(name="register.item")
def item(n: int) -> int:
    return n


@app.task(name="register.end")
def end(batch_id: str, n: int = 0) -> int:
    return n


@app.task(name="register.one_by_one", unique={"by": ("n",)})
def one_by_one(batch_id: str, n: int = 0) -> int:
    return n


@app.task(name="register.strictly_one", unique={"by": ("n",), "on_conflict": "reject"})
def strictly_one(batch_id: str, n: int = 0) -> int:
    return n


@pytest.fixture
def register(broker_url: str) -> Batches:
    return batches()


def made(count: int = 4, **more: object) -> Batch:
    return creation.create(NewBatch(**{"task": "register.item", "chunk_size": 4, **more}), count=count)  # type: ignore[arg-type]


def test_an_item_has_one_outcome(register: Batches) -> None:
    batch = made()
    assert register.begin(batch.batch_id, 1, "1", "j").indices == [0, 1, 2, 3]
    register.step(batch.batch_id, 1, "1", [], [0, 1])
    for text in ("+1", "+2"):
        register.step(batch.batch_id, 1, "1", [Outcome(0, "c", text)], [])
    register.step(batch.batch_id, 1, "1", [Outcome(0, "f", "-{}")], [])
    seen = register.get(batch.batch_id)
    assert (seen.completed, seen.failed, seen.running) == (1, 0, 1)
    assert register.items(batch.batch_id, ItemState.COMPLETED)[0][0].result == 1


def test_an_item_that_was_not_begun_has_no_outcome(register: Batches) -> None:
    batch = made()
    register.begin(batch.batch_id, 1, "1", "j")
    register.step(batch.batch_id, 1, "1", [Outcome(2, "c", "+1")], [])
    assert register.get(batch.batch_id).done == 0


def test_an_earlier_run_of_a_chunk_says_nothing_any_more(register: Batches) -> None:
    batch = made()
    register.begin(batch.batch_id, 1, "1", "j")
    register.step(batch.batch_id, 1, "1", [], [0])
    register.begin(batch.batch_id, 1, "2", "j")
    assert register.step(batch.batch_id, 1, "1", [Outcome(0, "c", "+1")], []).verdict == "gone"
    assert register.hand_over(batch.batch_id, 1, "1", HandOver(chunks=[("", [0, 1, 2, 3])])) is None
    assert register.begin(batch.batch_id, 1, "1", "j") is None
    assert register.get(batch.batch_id).done == 0


def test_the_last_outcome_decides_on_the_callbacks_once(register: Batches) -> None:
    batch = made(1, callbacks={"on_complete": ("register.end", {}), "on_failure": ("register.end", {})})
    register.begin(batch.batch_id, 1, "1", "j")
    register.step(batch.batch_id, 1, "1", [], [0])
    first = register.step(batch.batch_id, 1, "1", [Outcome(0, "c", "")], [])
    again = register.step(batch.batch_id, 1, "1", [Outcome(0, "c", "")], [])
    assert (list(first.fired), list(again.fired)) == (["on_complete"], [])
    assert register.get(batch.batch_id).on_failure.job_id is None


def test_a_callback_whose_publisher_died_is_published_by_the_duty(
    register: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = made(1, callbacks={"on_complete": ("register.end", {"n": 1})})
    register.begin(batch.batch_id, 1, "1", "j")
    register.step(batch.batch_id, 1, "1", [], [0])
    register.step(batch.batch_id, 1, "1", [Outcome(0, "c", "")], [])
    job_id = register.get(batch.batch_id).on_complete.job_id
    assert register.unpublished_callbacks(0) == [(batch.batch_id, "on_complete")]
    monkeypatch.setattr(mending, "OVERDUE_S", -1)
    mending.mend()
    job = ledger().get(job_id)
    assert (job.task, job.parent_id) == ("register.end", batch.batch_id)
    assert register.unpublished_callbacks(-1) == []


def over(register: Batches, callback: str) -> Batch:
    """A batch whose last item has ended; its callback is decided on and not yet published."""
    batch = made(1, callbacks={"on_complete": (callback, {"n": 1})})
    register.begin(batch.batch_id, 1, "1", "j")
    register.step(batch.batch_id, 1, "1", [], [0])
    register.step(batch.batch_id, 1, "1", [Outcome(0, "c", "")], [])
    return register.get(batch.batch_id)


@pytest.mark.parametrize("callback", ["register.one_by_one", "register.strictly_one"])
def test_a_callback_waits_while_an_equal_job_stands(
    register: Batches, monkeypatch: pytest.MonkeyPatch, callback: str
) -> None:
    monkeypatch.setattr(mending, "OVERDUE_S", -1)
    first, second = over(register, callback), over(register, callback)
    for _ in range(2):
        publish_callbacks(first.batch_id, ["on_complete"])
        publish_callbacks(second.batch_id, ["on_complete"])
    assert ledger().get(first.on_complete.job_id).state == State.PENDING
    assert ledger().get_many([second.on_complete.job_id]) == []
    assert register.unpublished_callbacks(-1) == [(second.batch_id, "on_complete")]
    ledger().cancel(first.on_complete.job_id)
    mending.mend()
    assert ledger().get(second.on_complete.job_id).state == State.PENDING
    assert register.unpublished_callbacks(-1) == []


def test_callbacks_that_wait_keep_no_other_one_waiting(register: Batches) -> None:
    kept = [over(register, "register.one_by_one") for _ in range(3)]
    publish_callbacks(kept[0].batch_id, ["on_complete"])
    other = over(register, "register.end")
    publish_callbacks(kept[1].batch_id, ["on_complete"])
    waiting = [batch_id for batch_id, _ in register.unpublished_callbacks(-1)]
    assert sorted(waiting) == sorted(one.batch_id for one in (*kept[1:], other))
    assert waiting[-1] in (other.batch_id, kept[1].batch_id), "in the same millisecond by their names"
    assert waiting[0] == kept[2].batch_id


def test_the_callback_of_a_batch_that_was_forgotten_is_none(register: Batches) -> None:
    batch = over(register, "register.end")
    register.forget(batch.batch_id)
    publish_callbacks(batch.batch_id, ["on_complete"])
    assert register.unpublished_callbacks(-1) == []
    assert ledger().get_many([batch.on_complete.job_id]) == []


def test_chunks_that_were_never_published_are(register: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(creation, "publish_accepted", lambda *_: None)
    batch = made(8)
    ids = [chunk_job_id(batch.batch_id, number) for number in (1, 2)]
    assert ledger().get_many(ids) == []
    mending._mend(batch.batch_id)
    assert [job.state for job in ledger().get_many(ids)] == [State.PENDING, State.PENDING]


def test_a_chunk_whose_job_was_cancelled_gives_its_items_up(register: Batches) -> None:
    batch = made(8)
    ledger().cancel(chunk_job_id(batch.batch_id, 1))
    mending._mend(batch.batch_id)
    seen = register.get(batch.batch_id)
    assert (seen.cancelled, seen.pending, seen.state) == (4, 4, "pending")


def test_a_chunk_that_failed_blames_the_item_at_work(register: Batches) -> None:
    batch = made(4)
    register.begin(batch.batch_id, 1, "1", "j")
    register.step(batch.batch_id, 1, "1", [], [1])
    ledger().fail(chunk_job_id(batch.batch_id, 1), {"type": "TimeLimitExceeded", "message": "too long"})
    mending._mend(batch.batch_id)
    failed = register.items(batch.batch_id, ItemState.FAILED)[0]
    assert [(one.index, one.error["type"]) for one in failed] == [(1, "TimeLimitExceeded")]
    assert [indices for _, _, indices in register.chunks(batch.batch_id).values()] == [[0, 2, 3]]


def test_cancelling_ends_what_waits_and_its_jobs(register: Batches) -> None:
    batch = made(8)
    seen = acts.cancel(batch.batch_id)
    assert (seen.state, seen.cancelled) == ("cancelled", 8)
    assert ledger().get(chunk_job_id(batch.batch_id, 1)).state == State.CANCELLED
    with pytest.raises(BatchOver):
        acts.cancel(batch.batch_id)


def test_an_addition_may_be_repeated(register: Batches) -> None:
    batch = creation.create(NewBatch("register.item", is_open=True), [1])
    for _ in range(2):
        assert creation.add(batch.batch_id, [2, 3], name="once") == 3
    assert creation.add(batch.batch_id, [4], is_last=True) == 4
    assert [one.item for one in register.items(batch.batch_id)[0]] == [1, 2, 3, 4]


def test_an_addition_is_written_in_parts_and_repeated_as_a_whole(
    register: Batches, embedded: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creation, "WRITTEN_AT_ONCE", 8)
    batch = creation.create(NewBatch("register.item", chunk_size=4, is_open=True), [0])
    for _ in range(2):
        assert creation.add(batch.batch_id, list(range(1, 21)), name="once", is_last=True) == 21
    assert [one.item for one in register.items(batch.batch_id)[0]] == list(range(21))
    assert sorted(embedded.hgetall(f"{register.channel(batch.batch_id)}:adds")) == [
        b"more once 0",
        b"more once 16",
        b"more once 8",
        b"part 0",
    ]
    assert not register.get(batch.batch_id).open
    assert ledger().list().total == 6


def test_an_addition_of_which_a_part_was_written_is_completed_when_repeated(
    register: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creation, "WRITTEN_AT_ONCE", 4)
    batch = made(4, is_open=True)
    register.add(batch.batch_id, "more once 0", 4, 4)
    assert creation.add(batch.batch_id, 8, name="once", is_last=True, most=12) == 12
    assert creation.add(batch.batch_id, 8, name="once", is_last=True, most=12) == 12


def test_an_addition_there_is_no_room_for_is_refused_before_any_of_it_is_written(
    register: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creation, "WRITTEN_AT_ONCE", 4)
    batch = made(4, is_open=True)
    for items in (9, list(range(9)), [object()] * 9):
        with pytest.raises(InvalidBatch, match="12 items at most over HTTP, and this one has 4 already"):
            creation.add(batch.batch_id, items, most=12)
    assert register.get(batch.batch_id).total == 4
    acts.cancel(batch.batch_id)
    with pytest.raises(BatchOver):
        creation.add(batch.batch_id, 9, most=12)


def test_a_batch_does_not_end_between_the_parts_of_an_addition(
    register: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last item ends when the first part is written: none of that is run before the rest is there."""
    monkeypatch.setattr(creation, "WRITTEN_AT_ONCE", 4)
    batch = made(4)
    register.begin(batch.batch_id, 1, "1", "j")
    register.step(batch.batch_id, 1, "1", [], [0, 1, 2, 3])
    published: list[int] = []

    def in_between(batch_id: str, name: str, *rest: object, **more: object) -> object:
        if name.endswith(" 4"):
            register.step(batch_id, 1, "1", [Outcome(index, "c", "") for index in range(4)], [], is_last=True)
            published.append(ledger().list().total)
        return add(batch_id, name, *rest, **more)

    add = creation._add
    monkeypatch.setattr(creation, "_add", in_between)
    assert creation.add(batch.batch_id, 8) == 12
    assert published == [1]
    assert register.get(batch.batch_id).state == "running"
    assert ledger().list().total == 3


def test_items_of_a_generator_may_run_while_it_makes_others(register: Batches) -> None:
    seen: list[tuple[int, bool]] = []

    def numbers() -> Iterator[int]:
        for number in range(2_500):
            if number % 1_000 == 999:
                page = register.list().items
                seen.append((page[0].total if page else 0, bool(page and page[0].open)))
            yield number

    batch = creation.create(NewBatch("register.item"), numbers())
    assert seen == [(0, True), (1_000, True)]
    assert (batch.total, batch.open, batch.state) == (2_500, False, "pending")


def test_a_generator_that_fails_cancels_its_batch(register: Batches) -> None:
    def numbers() -> Iterator[int]:
        yield from range(1_000)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        creation.create(NewBatch("register.item"), numbers())
    assert [(one.state, one.cancelled) for one in register.list().items] == [("cancelled", 1_000)]


def test_a_batch_that_was_not_written_whole_is_not_there(register: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(creation, "WRITTEN_AT_ONCE", 4)
    written: list[str] = []

    def dies(batch_id: str, name: str, *rest: object, **more: object) -> object:
        written.append(batch_id)
        if len(written) == 2:
            raise KeyboardInterrupt
        return add(batch_id, name, *rest, **more)

    add = creation._add
    monkeypatch.setattr(creation, "_add", dies)
    with pytest.raises(KeyboardInterrupt):
        made(8)
    assert register.list().total == 0
    mending._mend(written[0])
    assert ledger().list().total == 0


def test_one_that_cannot_be_repeated_is_not_forgotten_for_that(
    register: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creation, "WRITTEN_AT_ONCE", 4)
    batch = made(4, batch_id="mine")
    acts.cancel(batch.batch_id)
    with pytest.raises(BatchOver):
        made(8, batch_id="mine")
    assert register.get("mine").cancelled == 4


def test_one_that_may_run_is_not_taken_back(register: Batches) -> None:
    batch = made()
    assert not register.forget(batch.batch_id, unless_whole=True)
    assert register.get(batch.batch_id).total == 4
    register.create("half", NewBatch("register.item").facts(1), runs_at_once=False)
    assert register.forget("half", unless_whole=True)


def asked_for_again(register: Batches) -> Batch:
    """Items 0 and 2 of a chunk have failed and are in another one now; the chunk has still 1 and 3."""
    batch = made(4)
    register.begin(batch.batch_id, 1, "1", "j")
    register.step(batch.batch_id, 1, "1", [], [0, 2])
    register.step(batch.batch_id, 1, "1", [Outcome(0, "f", "-{}"), Outcome(2, "f", "-{}")], [1])
    assert list(register.retry(batch.batch_id, 4)[0]) == [2]
    return batch


def test_an_item_that_is_run_again_leaves_the_chunk_it_was_in(register: Batches) -> None:
    batch = asked_for_again(register)
    assert register.begin(batch.batch_id, 2, "1", "k").indices == [0, 2]
    again = register.begin(batch.batch_id, 1, "2", "j")
    assert (again.indices, again.states) == ([1, 3], "rp")


def test_a_chunk_says_nothing_of_items_that_have_left_it(register: Batches) -> None:
    batch = asked_for_again(register)
    register.begin(batch.batch_id, 2, "1", "k")
    register.step(batch.batch_id, 2, "1", [], [0])
    told = register.step(batch.batch_id, 1, "1", [Outcome(0, "f", "-{}")], [2, 3])
    assert (told.verdict, told.refused) == ("go", {2})
    assert register.states(batch.batch_id) == "rrpr"
    what = HandOver(died=[0], interrupted=[1], failed=[2], error="-{}", cancelled=[0, 2], chunks=[("", [0, 1, 2, 3])])
    register.hand_over(batch.batch_id, 1, "1", what)
    assert register.states(batch.batch_id) == "rppr"
    assert {number: indices for number, (_, _, indices) in register.chunks(batch.batch_id).items()} == {
        2: [0, 2],
        3: [1, 3],
    }


def test_a_chunk_all_of_whose_items_are_run_again_is_no_more(register: Batches) -> None:
    batch = made(1)
    register.begin(batch.batch_id, 1, "1", "j")
    register.step(batch.batch_id, 1, "1", [], [0])
    creation.add(batch.batch_id, 1)
    register.step(batch.batch_id, 1, "1", [Outcome(0, "f", "-{}")], [])
    assert acts.retry(batch.batch_id).pending == 2
    assert sorted(register.chunks(batch.batch_id)) == [2, 3]
    assert register.begin(batch.batch_id, 1, "2", "j") is None


@pytest.mark.parametrize("act", [acts.cancel, acts.retry, creation.close, lambda one: creation.add(one, 1)])
def test_a_part_of_a_batch_is_no_batch(register: Batches, act: Callable[[str], object]) -> None:
    batch = made()
    for part in ("states", "chunks", "adds"):
        with pytest.raises(UnknownBatch):
            act(f"{batch.batch_id}:{part}")
    assert register.get(batch.batch_id).pending == 4


def test_items_are_counted_by_outcome_for_metrics(register: Batches) -> None:
    batch = made(6, chunk_size=6)
    register.begin(batch.batch_id, 1, "1", "j")
    register.step(batch.batch_id, 1, "1", [], [0, 1, 2, 3])
    outcomes = [Outcome(0, "c", "+1"), Outcome(1, "c", "+1"), Outcome(2, "f", "-{}"), Outcome(3, "a", "-{}")]
    for _ in range(2):
        register.step(batch.batch_id, 1, "1", outcomes, [])
    acts.cancel(batch.batch_id)
    task = "register.item"
    counted = {(task, "completed"): 2, (task, "failed"): 1, (task, "retried"): 1, (task, "cancelled"): 3}
    assert register.outcomes() == counted
    assert register.counts() == {"pending": 0, "running": 0, "completed": 0, "failed": 0, "cancelled": 1}
    acts.retry(batch.batch_id)
    assert register.outcomes() == counted, "to be run again is no outcome"


def test_what_is_past_its_time_is_forgotten_with_all_its_keys(register: Batches, embedded: redis.Redis) -> None:
    batch = creation.create(NewBatch("register.item", chunk_size=50), list(range(250)))
    acts.cancel(batch.batch_id)
    embedded.zadd(f"{register.prefix}batches:expiry", {batch.batch_id: 1})
    assert mending.forget_old(10) == 1
    with pytest.raises(UnknownBatch):
        register.get(batch.batch_id)
    left = [key for key in embedded.scan_iter() if batch.batch_id.encode() in key]
    assert left == []


def test_a_hundred_thousand_items_are_cheap_to_keep(register: Batches, embedded: redis.Redis) -> None:
    before = embedded.info("memory")["used_memory"]
    batch = made(100_000, chunk_size=1_000)
    begun = register.begin(batch.batch_id, 1, "1", "j")
    register.step(batch.batch_id, 1, "1", [], begun.indices)
    register.step(batch.batch_id, 1, "1", [Outcome(index, "c", f"+{index}") for index in begun.indices], [])
    assert register.get(batch.batch_id).completed == 1_000
    assert embedded.info("memory")["used_memory"] - before < 2_000_000
