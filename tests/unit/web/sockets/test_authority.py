from __future__ import annotations

from typing import Any

import pytest

import tasks.models  # noqa: F401 - the models task and item
from platform.errors import UnknownJob
from platform.jobs.record import Job, from_hash
from platform.jobs.states import State
from platform.streams.names import View
from web.identity import Caller
from web.scope import Scope
from web.sockets import authority
from web.sockets.authority import told_of, topic_of
from web.sockets.protocol.messages import Channel, Refused, Wish
from web.sockets.topics import Documents, JobTopic, Room

ANN, BOB = "ann-id", "bob-id"


def caller(role: str = "user", **scope: Any) -> Caller:
    return Caller(ANN, "ann@example.com", role, "shop", via="token", scope=Scope(**scope))


def documents(wish: Wish, who: Caller | None = None) -> Documents:
    found = topic_of(who or caller(), wish)
    assert isinstance(found, Documents)
    return found


def refusal(wish: Wish, who: Caller | None = None) -> str:
    with pytest.raises(Refused) as refused:
        topic_of(who or caller(), wish)
    return refused.value.code


@pytest.fixture(autouse=True)
def jobs(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:
    """Stands in for the record store: the fields of jobs by their id."""
    known: dict[str, dict[str, str]] = {}

    class Ledger:
        def get(self, job_id: str) -> Job:
            if job_id not in known:
                raise UnknownJob(job_id)
            return from_hash(job_id, {"state": State.PENDING, **known[job_id]})

    monkeypatch.setattr(authority, "ledger", Ledger)
    return known


# -- documents


def test_documents_of_everybodys_model_are_those_of_the_tenant() -> None:
    found = documents(Wish(channel=Channel("task", "d1", BOB)))
    assert found == Documents(f"app:shop:user:{BOB}:model:task:d1", View("shop", "task", "d1", BOB))
    assert documents(Wish(channel=Channel("task"))).group.key == "app:shop:model:task"


def test_of_a_model_that_owners_see_one_follows_ones_own_under_the_name_asked_for() -> None:
    for channel, told in ((Channel("item"), "app:shop:model:item"), (Channel("item", "d1"), "app:shop:model:item:d1")):
        found = documents(Wish(channel=channel))
        assert found == Documents(told, View("shop", "item", channel.id, ANN))
    own = documents(Wish(channel=Channel("item", userId=ANN)))
    assert own.group.channel == f"app:shop:user:{ANN}:model:item"
    assert refusal(Wish(channel=Channel("item", userId=BOB))) == "forbidden"


def test_operators_follow_everybodys() -> None:
    for role in ("operator", "admin"):
        assert documents(Wish(channel=Channel("item")), caller(role)).view == View("shop", "item")
        assert documents(Wish(channel=Channel("item", userId=BOB)), caller(role)).view == View("shop", "item", "", BOB)


@pytest.mark.parametrize(
    ("channel", "code"),
    [
        (Channel("tusk"), "unknown_model"),
        (Channel(""), "unknown_model"),
        (Channel("task:d1"), "unknown_model"),
        (Channel("task", "d1:x"), "bad_channel"),
        (Channel("task", "d 1"), "bad_channel"),
        (Channel("task", "", "ann:model:item"), "bad_channel"),
        (Channel("task", "", "x" * 1000), "bad_channel"),
    ],
)
def test_names_that_are_none_are_refused(channel: Channel, code: str) -> None:
    assert refusal(Wish(channel=channel)) == code


def test_without_a_filter_all_are_told_and_an_empty_one_is_none() -> None:
    plain, empty = (documents(Wish(channel=Channel("task"), filter=filter)) for filter in (None, {}))
    assert plain.filter is empty.filter is None
    assert plain.group == empty.group


def test_equal_filters_are_one_group() -> None:
    one, other = (documents(Wish(channel=Channel("task"), filter=filter)) for filter in ({"n": 1}, {"n": {"$eq": 1}}))
    assert one.group.key == other.group.key


@pytest.mark.parametrize("filter", [{"n": {"$near": 1}}, {"$where": "1"}, {"n": {"$in": 1}}])
def test_a_filter_that_is_none_is_refused(filter: dict[str, Any]) -> None:
    assert refusal(Wish(channel=Channel("task"), filter=filter)) == "bad_filter"
    assert refusal(Wish(channel=Channel("task"), filter=filter), caller(filters={"task": {"n": 1}})) == "bad_filter"


# -- what the token allows


def test_the_tokens_filter_must_hold_and_the_clients_too() -> None:
    scoped = caller(filters={"task": {"assignee": "ann"}})
    both = documents(Wish(channel=Channel("task"), filter={"$or": [{"n": 1}, {"assignee": "bob"}]}), scoped).filter
    assert both is not None
    assert both.matches({"assignee": "ann", "n": 1})
    assert not both.matches({"assignee": "ann", "n": 2})
    assert not both.matches({"assignee": "bob", "n": 1})
    for asked in (None, {}):
        alone = documents(Wish(channel=Channel("task"), filter=asked), scoped).filter
        assert alone is not None
        assert not alone.matches({"assignee": "bob"})


def test_a_model_out_of_scope_is_forbidden_for_operators_too() -> None:
    for role in ("user", "operator", "admin"):
        assert refusal(Wish(channel=Channel("item")), caller(role, models=("task",))) == "forbidden"
        assert documents(Wish(channel=Channel("task")), caller(role, models=("task",)))


def test_rooms_out_of_scope_are_forbidden() -> None:
    scoped = caller(rooms=("lobby", "team-*"))
    assert topic_of(scoped, Wish(room="team-a")) == Room("shop", "team-a")
    assert refusal(Wish(room="Lobby"), scoped) == "forbidden"
    assert refusal(Wish(room="lobby"), caller(rooms=())) == "forbidden"


def test_without_jobs_no_job_is_looked_for() -> None:
    assert refusal(Wish(job="j1"), caller(jobs=False)) == "forbidden"


# -- rooms, jobs and batches


def test_a_room_is_the_tenants() -> None:
    found = topic_of(caller(), Wish(room="lobby"))
    assert found == Room("shop", "lobby")
    assert isinstance(found, Room)
    assert found.told == "app:shop:room:lobby"


@pytest.mark.parametrize("name", ["", "two words", "a\n", "x" * 129, "\x00"])
def test_a_room_needs_a_name(name: str) -> None:
    assert refusal(Wish(room=name)) == "bad_channel"


def test_ones_own_job_is_followed_and_anothers_answers_as_none(jobs: dict[str, dict[str, str]]) -> None:
    jobs |= {"mine": {"owner": ANN, "app_id": "shop"}, "his": {"owner": BOB, "app_id": "shop"}, "nobodys": {}}
    assert topic_of(caller(), Wish(job="mine")) == JobTopic("shop", "mine")
    messages = set()
    for job_id in ("his", "nobodys", "none"):
        with pytest.raises(Refused) as refused:
            topic_of(caller(), Wish(job=job_id))
        assert refused.value.code == "not_found"
        messages.add(str(refused.value).replace(job_id, "it"))
    assert len(messages) == 1


def test_an_operator_follows_any_job(jobs: dict[str, dict[str, str]]) -> None:
    jobs |= {"his": {"owner": BOB, "app_id": "shop"}, "nobodys": {}}
    assert topic_of(caller("operator"), Wish(job="his")) == JobTopic("shop", "his")
    assert topic_of(caller("operator"), Wish(job="nobodys")) == JobTopic("shop", "nobodys")


def test_there_are_no_batches_yet() -> None:
    assert refusal(Wish(batch="b1")) == "not_found"


@pytest.mark.parametrize(
    "wish", [Wish(), Wish(room="a", job="b"), Wish(channel=Channel("task"), room="a"), Wish(job="a", batch="b")]
)
def test_exactly_one_thing_is_followed(wish: Wish) -> None:
    assert refusal(wish) == "bad_channel"


@pytest.mark.parametrize("wish", [Wish(room="a"), Wish(job="a"), Wish(batch="a")])
def test_only_documents_are_filtered(wish: Wish) -> None:
    filtered = Wish(room=wish.room, job=wish.job, batch=wish.batch, filter={"n": 1})
    assert refusal(filtered) == "bad_filter"


@pytest.mark.parametrize(
    "wish",
    [
        Wish(channel=Channel("task")),
        Wish(channel=Channel("task", "d1", BOB)),
        Wish(channel=Channel("item")),
        Wish(room="lobby"),
        Wish(job="mine"),
    ],
)
def test_what_is_followed_is_left_under_the_same_name(wish: Wish, jobs: dict[str, dict[str, str]]) -> None:
    jobs["mine"] = {"owner": ANN, "app_id": "shop"}
    assert told_of(caller(), wish) == topic_of(caller(), wish).told
