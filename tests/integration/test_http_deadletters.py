"""``/dead-letters``, ``/audit``, ``dlq`` and the SDK over a real gunicorn and a real worker.

Letters are parked as a worker parks them, with the messages that Celery makes.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
import redis

from platform import serialization
from platform.deadletters.letter import Reason
from platform.deadletters.register import DeadLetters, Death, Filter, Parked
from platform.envelope import Envelope
from platform.settings import Settings
from tasks import app
from tests import processes
from tests.integration.asking import ended
from tests.integration.conftest import Shop
from tests.waiting import eventually
from web.client import APIError, Client, NotFoundError

ERROR = {"type": "ValueError", "message": "it is broken", "traceback": "Traceback …\nValueError: it is broken\n"}
FOR_EVER = 1 << 52

pytestmark = pytest.mark.usefixtures("shop_worker")


@pytest.fixture
def letters(shop: Shop, shop_web: processes.Web) -> Iterator[DeadLetters]:
    """The shop's register, with nothing dead in it from other tests."""
    with redis.Redis.from_url(shop.redis_url) as client:
        register = DeadLetters(client, Settings())
        for _, letter_id in list(register.matching(Filter(), FOR_EVER)):
            register.discard(letter_id, "test")
        yield register


@pytest.fixture
def operator(new_caller: Callable[..., httpx2.Client]) -> httpx2.Client:
    return new_caller("operator")


@pytest.fixture
def client(shop_web: processes.Web, operator: httpx2.Client) -> Iterator[Client]:
    with Client(shop_web.url, operator.headers["Authorization"].removeprefix("Bearer ")) as made:
        yield made


def message(job_id: str, task: str, args: list[Any], queue: str) -> Envelope:
    made = app.amqp.as_task_v2(job_id, task, args, {}, retries=3)
    body = serialization.encode(made.body)
    return Envelope(body, made.headers, serialization.CONTENT_TYPE, "utf-8", made.properties, queue)


@pytest.fixture
def died(letters: DeadLetters) -> Callable[..., str]:
    """``died(1, 2, task="shop.add", reason=…, queue=…)``: the letter of a job that died."""

    def make(
        *args: Any, task: str = "shop.add", reason: Reason = Reason.RETRIES_EXHAUSTED, queue: str = "offload"
    ) -> str:
        job_id = str(uuid.uuid4())
        text = message(job_id, task, list(args), queue).as_text()
        parked = letters.park(Death(reason, ERROR, text, job_id, task, queue, attempts=4, owner="somebody"))
        assert isinstance(parked, Parked)
        return parked.dead_letter_id

    return make


def listed(caller: httpx2.Client, **query: Any) -> list[str]:
    answer = caller.get("/dead-letters", params=query)
    assert answer.status_code == 200, answer.text
    return [letter["dead_letter_id"] for letter in answer.json()["items"]]


def test_letters_are_listed_filtered_and_paged(operator: httpx2.Client, died: Callable[..., str]) -> None:
    first = died(1, reason=Reason.REJECTED)
    second = died(2, task="shop.total", queue="batch")
    assert sorted(listed(operator)) == sorted([first, second])
    assert listed(operator, reason="rejected") == [first]
    assert listed(operator, task="shop.total", queue="batch") == [second]
    assert listed(operator, task="shop.total", queue="offload") == []
    page = operator.get("/dead-letters", params={"limit": 1, "page": 2}).json()
    assert (page["total"], page["pages"], len(page["items"])) == (2, 2, 1)
    assert set(page["items"][0]) == {
        "dead_letter_id", "job_id", "task", "queue", "reason", "error", "attempts", "args", "kwargs",
        "first_failed_at", "dead_at", "replayed", "state", "evidence", "owner", "app_id",
    }  # fmt: skip


def test_one_letter_is_shown_with_its_bytes_and_history(operator: httpx2.Client, died: Callable[..., str]) -> None:
    letter_id = died(20, 22)
    shown = operator.get(f"/dead-letters/{letter_id}").json()
    assert (shown["args"], shown["error"], shown["attempts"], shown["original"]) == ([20, 22], ERROR, 4, None)
    envelope = json.loads(base64.b64decode(shown["message"]["base64"]))
    assert envelope["headers"]["id"] == shown["job_id"] == shown["message"]["headers"]["id"]
    assert [event["event"] for event in shown["history"]] == ["died"]


def test_a_replay_runs_the_job_again(operator: httpx2.Client, died: Callable[..., str]) -> None:
    letter_id = died(20, 22)
    answer = operator.post(f"/dead-letters/{letter_id}/replay")
    letter = answer.json()
    assert (answer.status_code, letter["state"], letter["replayed"]) == (202, "replayed", 1)
    assert answer.headers["Location"] == f"/jobs/{letter['job_id']}"
    job = ended(operator, letter["job_id"])
    assert (job["state"], job["result"], job["dead_letter_id"]) == ("completed", 42, letter_id)
    assert listed(operator, state="replayed", limit=500).count(letter_id) == 1
    again = operator.post(f"/dead-letters/{letter_id}/replay")
    assert (again.status_code, "replayed already" in again.json()["detail"]) == (409, True)


def test_an_edited_letter_runs_with_its_new_arguments(operator: httpx2.Client, died: Callable[..., str]) -> None:
    letter_id = died(1, "x")
    edited = operator.patch(f"/dead-letters/{letter_id}", json={"args": [1, 2]})
    assert (edited.status_code, edited.json()["args"]) == (200, [1, 2])
    assert edited.json()["original"] == {"args": [1, "x"], "kwargs": {}}
    job_id = operator.post(f"/dead-letters/{letter_id}/replay").json()["job_id"]
    assert ended(operator, job_id)["result"] == 3


def test_a_discarded_letter_is_not_dead_any_more_and_its_job_stays_failed(
    operator: httpx2.Client, died: Callable[..., str]
) -> None:
    letter_id = died(1, 2)
    answer = operator.delete(f"/dead-letters/{letter_id}")
    assert (answer.status_code, answer.json()["state"]) == (200, "discarded")
    assert listed(operator) == []
    assert operator.get(f"/jobs/{answer.json()['job_id']}").json()["state"] == "failed"
    for refused in (
        operator.delete(f"/dead-letters/{letter_id}"),
        operator.patch(f"/dead-letters/{letter_id}", json={"args": []}),
        operator.post(f"/dead-letters/{letter_id}/replay"),
    ):
        assert (refused.status_code, refused.json()["detail"]) == (
            409, f"the dead letter {letter_id} is discarded already; only a dead one can be changed",
        )  # fmt: skip


@pytest.mark.parametrize("body", [{}, {"args": None}, {"args": {}}, {"kwargs": []}, {"arg": []}, []])
def test_an_edit_that_does_not_fit_is_refused(operator: httpx2.Client, died: Callable[..., str], body: Any) -> None:
    assert operator.patch(f"/dead-letters/{died(1)}", json=body).status_code == 422


@pytest.mark.parametrize("query", [{"reason": "x"}, {"state": "x"}, {"limit": 501}, {"page": 0}, {"tsk": "x"}])
def test_a_query_that_does_not_fit_is_refused(operator: httpx2.Client, query: dict[str, Any]) -> None:
    assert operator.get("/dead-letters", params=query).status_code == 422


def test_what_is_not_there_is_not_found(operator: httpx2.Client) -> None:
    answers = [
        operator.get("/dead-letters/x"),
        operator.patch("/dead-letters/x", json={"args": []}),
        operator.post("/dead-letters/x/replay"),
        operator.delete("/dead-letters/x"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4


def test_only_operators_may(ann: httpx2.Client, shop_web: processes.Web, died: Callable[..., str]) -> None:
    letter_id = died(1, 2)
    for caller, status in ((ann, 403), (shop_web.http, 401)):
        answers = [
            caller.get("/dead-letters"),
            caller.get(f"/dead-letters/{letter_id}"),
            caller.patch(f"/dead-letters/{letter_id}", json={"args": []}),
            caller.post(f"/dead-letters/{letter_id}/replay"),
            caller.post("/dead-letters/replay", json={}),
            caller.delete(f"/dead-letters/{letter_id}"),
            caller.get("/audit"),
        ]
        assert [answer.status_code for answer in answers] == [status] * len(answers)


def test_all_that_match_are_replayed_by_a_job(operator: httpx2.Client, died: Callable[..., str]) -> None:
    ids = [died(number, 1) for number in range(5)]
    other = died(1, 1, queue="batch")
    answer = operator.post("/dead-letters/replay", json={"task": "shop.add", "queue": "offload"})
    job = answer.json()
    assert (answer.status_code, job["matching"], answer.headers["Location"]) == (202, 5, f"/jobs/{job['job_id']}")
    done = ended(operator, job["job_id"])
    assert (done["state"], done["result"]) == ("completed", {"replayed": 5, "left_out": 0, "why": ""})
    assert done["progress"]["done"] == done["progress"]["total"] == 5
    assert listed(operator) == [other]
    assert set(ids) <= set(listed(operator, state="replayed", limit=500))
    jobs = [operator.get(f"/dead-letters/{one}").json()["job_id"] for one in ids]
    assert [ended(operator, one)["result"] for one in jobs] == [1, 2, 3, 4, 5]


def test_a_slow_replay_of_many_can_be_cancelled_and_gone_on_with(
    operator: httpx2.Client, died: Callable[..., str]
) -> None:
    for number in range(6):
        died(number, 1)
    job = operator.post("/dead-letters/replay", json={"rate_per_s": 0.5}).json()
    eventually(lambda: len(listed(operator)) < 6)
    assert operator.delete(f"/jobs/{job['job_id']}").status_code == 202
    assert ended(operator, job["job_id"])["state"] == "cancelled"
    left = len(listed(operator))
    assert 0 < left < 6
    job = operator.post("/dead-letters/replay", json={}).json()
    assert ended(operator, job["job_id"])["result"]["replayed"] == left
    assert listed(operator) == []


def test_every_act_is_audited_and_refused_ones_are_not(operator: httpx2.Client, died: Callable[..., str]) -> None:
    letter_id = died(1, "x")
    operator.patch(f"/dead-letters/{letter_id}", json={"args": [1, 2]})
    operator.post(f"/dead-letters/{letter_id}/replay")
    operator.post(f"/dead-letters/{letter_id}/replay")
    operator.delete(f"/dead-letters/{letter_id}")
    lines = operator.get("/audit", params={"subject": letter_id}).json()
    email = operator.get("/session").json()["user"]["email"]
    assert lines["total"] == 2
    assert [(line["action"], line["actor"]) for line in lines["items"]] == [
        ("dead_letter.replay", email), ("dead_letter.edit", email),
    ]  # fmt: skip
    assert lines["items"][1]["details"] == {
        "before": {"args": [1, "x"], "kwargs": {}}, "after": {"args": [1, 2], "kwargs": {}},
    }  # fmt: skip
    history = operator.get(f"/dead-letters/{letter_id}").json()["history"]
    assert [(event["event"], event.get("by")) for event in history] == [
        ("died", None), ("edited", email), ("replayed", email),
    ]  # fmt: skip


def test_an_idempotency_key_makes_a_replay_safe_to_repeat(operator: httpx2.Client, died: Callable[..., str]) -> None:
    letter_id, headers = died(1, 2), {"Idempotency-Key": uuid.uuid4().hex}
    first, second = (operator.post(f"/dead-letters/{letter_id}/replay", headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code, first.json()) == (202, 202, second.json())
    assert second.headers["Idempotent-Replayed"] == "true"


def test_letters_are_counted_for_prometheus(shop_web: processes.Web, died: Callable[..., str]) -> None:
    died(1, 2, reason=Reason.TIME_LIMIT, queue="batch")
    text = shop_web.http.get("/metrics").text
    assert 'platform_dead_letters{queue="batch",reason="time_limit"} 1.0' in text


def test_the_sdk_does_all_of_it(client: Client, died: Callable[..., str]) -> None:
    letter_id, other = died(1, "x", reason=Reason.REJECTED), died(3, 4)
    (found,) = client.dead_letters.list(reason="rejected")
    assert (found.dead_letter_id, found.error.type, found.message) == (letter_id, "ValueError", None)
    edited = client.dead_letters.edit(letter_id, args=[1, 2])
    assert edited.message is not None
    assert (edited.args, edited.message.headers["task"]) == ([1, 2], "shop.add")  # type: ignore[index]
    replayed = client.dead_letters.replay(letter_id)
    assert client.jobs.wait(str(replayed.job_id), timeout_s=20).result == 3
    job = client.dead_letters.replay_all(task="shop.add", rate_per_s=100)
    assert client.jobs.wait(job.job_id, timeout_s=20).result["replayed"] == 1
    assert client.dead_letters.get(other).state == "replayed"
    assert client.dead_letters.discard(died(5, 6)).state == "discarded"
    with pytest.raises(APIError, match="only a dead one") as caught:
        client.dead_letters.discard(other)
    assert caught.value.status_code == 409
    with pytest.raises(NotFoundError):
        client.dead_letters.get("x")


# -- from a terminal


def test_a_terminal_lists_and_shows(shop: Shop, died: Callable[..., str]) -> None:
    letter_id = died(1, "x", reason=Reason.REJECTED)
    died(2)
    table = shop.celery("dlq", "ls", "--reason", "rejected")
    assert letter_id in table.stdout
    assert table.stdout.rstrip().endswith("1 of 1")
    found = json.loads(shop.celery("dlq", "ls", "--reason", "rejected", "--json").stdout)
    assert [one["dead_letter_id"] for one in found] == [letter_id]
    page = shop.celery("dlq", "show", letter_id).stdout
    for part in (letter_id, "rejected", "shop.add", "ValueError: it is broken", '[1, "x"]', "History"):
        assert part in page
    assert (
        json.loads(shop.celery("dlq", "show", letter_id, "--json").stdout)["message"]["headers"]["task"] == "shop.add"
    )


def test_a_terminal_edits_and_replays(shop: Shop, operator: httpx2.Client, died: Callable[..., str]) -> None:
    letter_id = died(1, "x")
    assert shop.celery("dlq", "edit", letter_id, "--args", "[1, 2]").returncode == 0
    done = shop.celery("dlq", "replay", letter_id, "unknown")
    assert (done.returncode, f"replayed {letter_id} (job " in done.stdout) == (1, True)
    assert "there is no dead letter 'unknown'" in done.stderr
    job_id = operator.get(f"/dead-letters/{letter_id}").json()["job_id"]
    assert ended(operator, job_id)["result"] == 3
    line = operator.get("/audit", params={"subject": letter_id}).json()["items"][0]
    assert (line["action"], line["actor"].startswith("cli:")) == ("dead_letter.replay", True)


def test_a_terminal_replays_and_discards_what_matches(
    shop: Shop, operator: httpx2.Client, died: Callable[..., str]
) -> None:
    for number in range(3):
        died(number, 1)
        died(number, 1, queue="batch")
    unsure = shop.celery("dlq", "replay", "--queue", "offload")
    assert (unsure.returncode, "3 dead letters match; give --yes" in unsure.stderr) == (2, True)
    assert shop.celery("dlq", "replay", "--queue", "offload", "--rate", "50", "--yes").stdout == "3 replayed\n"
    assert shop.celery("dlq", "discard", "--all", "--yes").stdout == "3 discarded\n"
    assert listed(operator) == []
    newest = operator.get("/audit", params={"action": "dead_letters.", "limit": 2}).json()["items"]
    assert [line["action"] for line in newest] == ["dead_letters.discard", "dead_letters.replay"]
    assert newest[1]["details"] == {
        "filter": {"reason": None, "task": None, "queue": "offload"}, "rate_per_s": 50.0, "matching": 3,
    }  # fmt: skip


def test_a_script_is_told_the_letters_or_how_many(
    shop: Shop, operator: httpx2.Client, died: Callable[..., str]
) -> None:
    first, second = died(1, "x"), died(1, "x")

    def told(*args: str, code: int = 0) -> Any:
        done = shop.celery("dlq", *args, "--json")
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    assert told("edit", first, "--args", "[1, 2]") == operator.get(f"/dead-letters/{first}").json()
    (replayed,) = told("replay", first, "unknown", code=1)
    assert (replayed["dead_letter_id"], replayed["state"]) == (first, "replayed")
    assert ended(operator, replayed["job_id"])["result"] == 3
    assert [letter["state"] for letter in told("discard", second)] == ["discarded"]
    assert told("replay", "--all") == {"replayed": 0, "left_out": 0, "why": ""}
    died(1, 1)
    assert told("discard", "--all", "--yes") == {"discarded": 1}


@pytest.mark.parametrize("arguments", [(), ("x", "--all"), ("x", "--queue", "batch")])
def test_a_terminal_wants_ids_or_a_filter(shop: Shop, letters: DeadLetters, arguments: tuple[str, ...]) -> None:
    for command in ("replay", "discard"):
        done = shop.celery("dlq", command, *arguments)
        assert (done.returncode, "give either IDs, or" in done.stderr) == (2, True)


def test_a_terminal_says_in_a_sentence_that_the_store_is_away(shop: Shop) -> None:
    away = processes.environment(shop.settings | {"redis_url": "redis://127.0.0.1:1/0"})
    done = processes.celery("dlq", "ls", env=away)
    assert (done.returncode, done.stderr.startswith("Error: the record store did not answer")) == (1, True)
