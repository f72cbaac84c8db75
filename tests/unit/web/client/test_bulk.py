"""``client.jobs.submit_many``"""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest

from tests.unit.web.client.conftest import Answer, Ask, Server, problem
from web.client import APIError, BulkFailed, NotFoundError


def ids(*job_ids: str) -> Answer:
    return Answer(202, {"job_ids": list(job_ids)})


def test_items_are_sent_in_the_form_of_the_api(server: Server, ask: Ask) -> None:
    server.answers(ids("a", "b", "c"))
    items = [(1, 2), {"kwargs": {"a": 1}, "priority": 9}, {"task": "shop.slow"}]
    assert ask("jobs.submit_many", "shop.add", items, priority=3, countdown=0) == ["a", "b", "c"]
    shared = {"task": "shop.add", "priority": 3, "countdown": 0}
    assert server.received[0].body == {
        "jobs": [
            {**shared, "args": [1, 2]},
            {**shared, "kwargs": {"a": 1}, "priority": 9},
            {**shared, "task": "shop.slow"},
        ]
    }
    assert (server.received[0].method, server.received[0].target) == ("POST", "/jobs/bulk")


def test_many_go_in_chunks_under_keys_of_their_own(server: Server, ask: Ask) -> None:
    server.answers(ids("a", "b"), ids("c", "d"), ids("e"))
    items: Iterator[tuple[int]] = ((number,) for number in range(5))
    assert ask("jobs.submit_many", "shop.add", items, chunk_size=2, idempotency_key="once") == list("abcde")
    assert [len(request.body["jobs"]) for request in server.received] == [2, 2, 1]
    assert [request.headers["Idempotency-Key"] for request in server.received] == ["once.0", "once.1", "once.2"]


def test_large_items_go_in_requests_the_server_takes(server: Server, ask: Ask) -> None:
    server.answers(ids("a"))
    ask("jobs.submit_many", "shop.add", [("x" * 200_000,)] * 4)
    assert [len(request.body["jobs"]) for request in server.received] == [2, 2]


def test_nothing_is_asked_for_nothing(server: Server, ask: Ask) -> None:
    assert ask("jobs.submit_many", "shop.add", []) == []
    assert server.received == []


def test_a_first_request_that_fails_raises_as_submit_does(server: Server, ask: Ask) -> None:
    server.answers(problem(404, "no such page"))
    with pytest.raises(NotFoundError):
        ask("jobs.submit_many", "shop.add", [(1,)])


def test_a_later_one_says_what_is_submitted(server: Server, ask: Ask) -> None:
    server.answers(ids("a", "b"), problem(422, "the body does not fit", errors=[{"loc": ["body"], "msg": "bad"}]))
    with pytest.raises(BulkFailed, match="2 jobs were submitted, then: the body does not fit") as failed:
        ask("jobs.submit_many", "shop.add", [(1,)] * 4, chunk_size=2, idempotency_key="once")
    assert (failed.value.job_ids, failed.value.idempotency_key) == (["a", "b"], "once")
    assert isinstance(failed.value.__cause__, APIError)
    assert vars(pickle.loads(pickle.dumps(failed.value))) == vars(failed.value)


def test_a_server_that_is_away_for_a_moment_is_asked_again(server: Server, ask: Ask) -> None:
    server.answers(problem(503, "away", headers={"Retry-After": "0"}), ids("a"))
    assert ask("jobs.submit_many", "shop.add", [(1,)]) == ["a"]
    keys = {request.headers["Idempotency-Key"] for request in server.received}
    assert (len(keys), len(server.received)) == (1, 2)


@pytest.mark.parametrize("item", ["text", 7, {"prority": 3}])
def test_what_is_no_item_is_refused_here(server: Server, ask: Ask, item: object) -> None:
    with pytest.raises(ValueError, match="item 1 is neither"):
        ask("jobs.submit_many", "shop.add", [(1,), item])
    assert server.received == []
