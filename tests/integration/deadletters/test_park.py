"""A message becomes a letter once, with its bytes, and its job never disagrees with it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
import redis

from platform.deadletters.letter import LetterState, Reason, UnknownLetter
from platform.deadletters.register import DeadLetters, Death, Filter, Parked, letter_id_of
from platform.jobs.facts import NewJob, Refused, Started
from platform.jobs.ledger import Ledger
from platform.jobs.states import State
from tests.integration.deadletters.conftest import ERROR, Sent
from tests.integration.jobs.test_ledger import standing
from tests.waiting import eventually

HELD, TAG = "{platform}:queue:held:w1", "w1/1.1"


def new(job_id: str = "a", **more: object) -> NewJob:
    return NewJob(**{"job_id": job_id, "task": "t", "queue": "offload", "priority": 5, "owner": "ann"} | more)  # type: ignore[arg-type]


def death(job_id: str = "a", reason: Reason = Reason.RETRIES_EXHAUSTED, **more: Any) -> Death:
    known = {"message": b"\xff bytes", "task": "t", "queue": "offload", "attempts": 1, "error": ERROR}
    return Death(reason=reason, job_id=job_id, **known | more)


def run(ledger: Ledger, job: NewJob | None = None) -> str:
    started = ledger.start(job or new())
    assert isinstance(started, Started)
    return started.attempt


def hold(client: redis.Redis, message: bytes = b"held \xff bytes\nof two lines") -> None:
    client.hset(HELD, TAG, b"{platform}:queue:offload\n2\n" + message)


def counted(letters: DeadLetters) -> dict[tuple[str, str], int]:
    return {labels: count for labels, count in letters.counts().items() if count}


def test_a_letter_has_everything_that_is_known_of_it(letters: DeadLetters, send: Callable[..., Sent]) -> None:
    sent = send("shop.add", 1, 2, kwargs={"c": "ü"}, queue="batch")
    parked = letters.park(sent.death(evidence={"signal": "SIGKILL"}, owner="ann", app_id="acme"))
    assert isinstance(parked, Parked)
    shown = letters.get(parked.dead_letter_id).as_dict()
    times = shown.pop("first_failed_at"), shown.pop("dead_at")
    assert times[0] == times[1]
    assert times[0].endswith("Z")
    assert shown == {
        "dead_letter_id": parked.dead_letter_id,
        "job_id": sent.job_id,
        "task": "shop.add",
        "queue": "batch",
        "reason": "retries_exhausted",
        "error": ERROR,
        "attempts": 1,
        "args": [1, 2],
        "kwargs": {"c": "ü"},
        "replayed": 0,
        "state": "dead",
        "evidence": {"signal": "SIGKILL"},
        "owner": "ann",
        "app_id": "acme",
    }


def test_the_bytes_are_kept_as_they_came(letters: DeadLetters) -> None:
    message = bytes(range(256)) * 3
    parked = letters.park(death("", Reason.UNDECODABLE, message=message))
    assert isinstance(parked, Parked)
    assert letters.get(parked.dead_letter_id).message == message


def test_a_job_that_has_not_ended_fails_with_its_letter(
    letters: DeadLetters, ledger: Ledger, client: redis.Redis, redis_url: str
) -> None:
    ledger.create(new())
    run(ledger)
    parked = letters.park(death())
    job = ledger.get("a")
    assert isinstance(parked, Parked)
    assert (job.state, job.error, job.dead_letter_id) == (
        "failed", {"type": "ValueError", "message": "no"}, parked.dead_letter_id,
    )  # fmt: skip
    assert standing(ledger, ledger.client) == {"failed"}


def dump(client: redis.Redis) -> dict[bytes, Any]:
    """Everything kept of jobs, without the times of this run."""
    kept: dict[bytes, Any] = {}
    for key in client.scan_iter("*job*"):
        kind = client.type(key)
        if kind == b"hash":
            kept[key] = {k: v for k, v in client.hgetall(key).items() if not k.endswith((b"_at", b"sum"))}
            kept[key].pop(b"dead_letter_id", None)
            kept[key].pop(b"ticket", None)
            kept[key][b"fields"] = sorted(set(client.hkeys(key)) - {b"dead_letter_id"})
        else:
            kept[key] = client.zrange(key, 0, -1)
    return kept


@pytest.mark.parametrize("begun", [False, True])
def test_a_job_fails_by_a_letter_as_it_fails_by_the_ledger(
    letters: DeadLetters, ledger: Ledger, client: redis.Redis, begun: bool
) -> None:
    seen = []
    for fail in (lambda: ledger.fail("a", {k: ERROR[k] for k in ("type", "message")}), lambda: letters.park(death())):
        client.flushall()
        ledger.create(new())
        if begun:
            run(ledger)
            ledger.cancel("a")
        with client.pubsub() as listening:
            listening.subscribe(ledger.channel("a"))
            eventually(lambda listening=listening: listening.get_message(timeout=1))
            fail()
            heard = eventually(lambda listening=listening: listening.get_message(timeout=1))
        seen.append((dump(client), heard["data"]))
    assert seen[0] == seen[1]


def test_a_job_without_a_record_gets_one_that_has_failed(letters: DeadLetters, ledger: Ledger) -> None:
    letters.park(death("stranger", Reason.UNREGISTERED, owner="bob", priority=8, attempts=0))
    job = ledger.get("stranger")
    assert (job.state, job.task, job.queue, job.owner, job.priority, job.attempts) == (
        "failed", "t", "offload", "bob", 8, 0,
    )  # fmt: skip
    assert standing(ledger, ledger.client, "nobody") == set()
    assert [found.job_id for found in ledger.list(state=State.FAILED, owner="bob").items] == ["stranger"]


def test_a_job_that_failed_before_keeps_its_error_and_gets_its_letter(letters: DeadLetters, ledger: Ledger) -> None:
    ledger.create(new())
    ledger.fail("a", {"type": "KeyError", "message": "k"}, run(ledger))
    finished_at = ledger.get("a").finished_at
    parked = letters.park(death(), only_if_failed=True)
    job = ledger.get("a")
    assert isinstance(parked, Parked)
    assert (job.error, job.finished_at, job.dead_letter_id) == (
        {"type": "KeyError", "message": "k"}, finished_at, parked.dead_letter_id,
    )  # fmt: skip


@pytest.mark.parametrize("state", ["completed", "cancelled"])
def test_a_job_that_ended_well_gets_no_letter(
    letters: DeadLetters, ledger: Ledger, client: redis.Redis, state: str
) -> None:
    ledger.create(new())
    if state == "completed":
        ledger.complete("a", b"1", run(ledger))
    else:
        ledger.cancel("a")
    hold(client)
    assert letters.park(death(), held=HELD, tag=TAG) == Refused(state)
    assert (letters.list().total, ledger.get("a").state, client.hlen(HELD)) == (0, state, 0)


@pytest.mark.parametrize("state", ["", "pending", "running", "completed"])
def test_only_if_failed_refuses_every_other_state_and_leaves_the_delivery(
    letters: DeadLetters, ledger: Ledger, client: redis.Redis, state: str
) -> None:
    if state:
        ledger.create(new())
    if state in ("running", "completed"):
        attempt = run(ledger)
        if state == "completed":
            ledger.complete("a", b"1", attempt)
    hold(client)
    assert letters.park(death(), held=HELD, tag=TAG, only_if_failed=True) == Refused(state)
    assert (letters.list().total, client.hlen(HELD)) == (0, 1)


def test_a_held_delivery_ends_with_its_letter_which_has_its_very_bytes(
    letters: DeadLetters, client: redis.Redis
) -> None:
    hold(client)
    parked = letters.park(death(message=b"something else"), held=HELD, tag=TAG, only_if_held=True)
    assert isinstance(parked, Parked)
    assert letters.get(parked.dead_letter_id).message == b"held \xff bytes\nof two lines"
    assert client.hlen(HELD) == 0


def test_a_delivery_that_another_worker_has_makes_no_letter(
    letters: DeadLetters, ledger: Ledger, client: redis.Redis
) -> None:
    ledger.create(new())
    assert letters.park(death(), held=HELD, tag=TAG, only_if_held=True) == Refused("held by another worker")
    assert letters.park(death(message=b""), held=HELD, tag=TAG) == Refused("held by another worker")
    assert (letters.list().total, ledger.get("a").state) == (0, "pending")
    assert isinstance(letters.park(death(), held=HELD, tag=TAG), Parked)


def test_telling_it_again_after_a_lost_answer_changes_nothing(
    letters: DeadLetters, ledger: Ledger, client: redis.Redis
) -> None:
    hold(client)
    first = letters.park(death(), held=HELD, tag=TAG, only_if_held=True)
    assert isinstance(first, Parked)
    before = letters.get(first.dead_letter_id)
    assert letters.park(death(error={"type": "Other"}), held=HELD, tag=TAG, only_if_held=True) == Parked(
        first.dead_letter_id, "kept"
    )
    assert letters.get(first.dead_letter_id) == before


def test_the_same_death_told_by_somebody_else_is_the_same_letter(letters: DeadLetters, ledger: Ledger) -> None:
    ledger.create(new())
    run(ledger)
    first = letters.park(death())
    assert letters.park(death(reason=Reason.TIME_LIMIT, attempts=9)) == Parked(first.dead_letter_id, "kept")  # type: ignore[union-attr]
    assert letters.list().items[0].reason == "retries_exhausted"
    assert counted(letters) == {("offload", "retries_exhausted"): 1}


def test_another_message_with_a_dead_jobs_id_gets_a_letter_beside(
    letters: DeadLetters, ledger: Ledger, client: redis.Redis, send: Callable[..., Sent]
) -> None:
    sent = send("shop.add", 1, 2)
    first = letters.park(sent.death())
    assert letters.park(sent.death()) == Parked(first.dead_letter_id, "kept")  # type: ignore[union-attr]
    hold(client, b"odd")
    ids = [
        letters.park(sent.death(Reason.INVALID, message=b"odd"), held=held, tag=TAG).dead_letter_id  # type: ignore[union-attr]
        for held in (HELD, HELD, "")
    ]
    assert (len(set(ids)), letters.list().total, client.hlen(HELD)) == (1, 2, 0)
    assert letters.get(ids[0]).message == b"odd"
    assert ledger.get(sent.job_id).dead_letter_id == first.dead_letter_id  # type: ignore[union-attr]


def test_a_message_of_no_job_has_one_letter_for_each_delivery(letters: DeadLetters) -> None:
    garbage = death("", Reason.UNDECODABLE)
    ids = [letters.park(garbage, tag=tag).dead_letter_id for tag in ("1", "2", "1")]  # type: ignore[union-attr]
    assert len(set(ids)) == 2
    assert letters.list().total == 2


def test_the_record_knows_best_how_often_a_job_ran(letters: DeadLetters, ledger: Ledger) -> None:
    ledger.create(new())
    for _ in range(3):
        run(ledger)
    letters.park(death(attempts=1))
    assert letters.list().items[0].attempts == 3


def test_arguments_that_cannot_be_decoded_are_empty_and_the_error_says_so(
    letters: DeadLetters, send: Callable[..., Sent]
) -> None:
    sent = send("shop.add", 1, 2)
    pickled = {"content_type": "application/x-python-serialize", "body": b"cos\nsystem\n(S'touch x'\ntR."}
    broken = Sent(sent.job_id, type(sent.envelope)(**vars(sent.envelope) | pickled))
    letters.park(broken.death())
    (found,) = letters.list().items
    assert (found.args, found.kwargs) == ([], {})
    assert (
        "undecodable: ValueError: content type 'application/x-python-serialize' is not decoded"
        in (found.error["message"])
    )


def test_odd_text_in_what_came_does_not_keep_it_from_being_parked(letters: DeadLetters) -> None:
    odd = "\ud800 half a pair"
    parked = letters.park(death(odd, task=odd * 100, error={"type": odd, "message": odd, "traceback": odd}, owner=odd))
    assert isinstance(parked, Parked)
    found = letters.get(parked.dead_letter_id)
    assert found.error["type"] == "? half a pair"
    assert len(found.task) <= 255


def test_letters_are_found_by_reason_task_and_queue(letters: DeadLetters, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count(1_000_000)
    monkeypatch.setattr("platform.deadletters.register._now_ms", lambda: next(clock))
    for number in range(30):
        reason = [Reason.REJECTED, Reason.EXPIRED, Reason.INVALID][number % 3]
        letters.park(death(f"{number}", reason, task=f"t{number % 2}", queue=["offload", "batch"][number // 15]))
    assert letters.list(Filter(reason="expired")).total == 10
    assert letters.list(Filter(task="t1", queue="batch")).total == 8
    found = letters.list(Filter("rejected", "t0", "offload"), limit=2)
    assert ([one.job_id for one in found.items], found.total) == (["12", "6"], 3)
    assert letters.list(Filter(reason="expired"), LetterState.DISCARDED).total == 0
    assert [one.job_id for one in letters.list(offset=28).items] == ["1", "0"]
    assert sum(letters.counts().values()) == 30


def test_an_unknown_letter_says_so(letters: DeadLetters) -> None:
    with pytest.raises(UnknownLetter, match="no dead letter 'x'"):
        letters.get("x")


def test_a_letters_id_is_its_jobs_for_ever() -> None:
    assert letter_id_of(death("a")) == letter_id_of(death("a", Reason.EXPIRED, message=b"other"), "tag")
    assert letter_id_of(death("a")) != letter_id_of(death("b"))
