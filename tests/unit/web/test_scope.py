from __future__ import annotations

import pytest

from web.scope import Scope


def test_without_a_word_everything_is_allowed() -> None:
    scope = Scope.EVERYTHING
    assert scope.allows_model("task")
    assert scope.filter_for("task") is None
    assert scope.allows_room("lobby")
    assert scope.allows_publish
    assert scope.allows_call("Chat", "say")
    assert scope.allows_jobs
    assert scope == Scope() == Scope.read({})


def test_an_empty_list_allows_none() -> None:
    scope = Scope(models=(), rooms=(), publish=False, calls=(), jobs=False)
    assert not scope.allows_model("task")
    assert not scope.allows_room("lobby")
    assert not scope.allows_publish
    assert not scope.allows_call("Chat", "say")
    assert not scope.allows_jobs


def test_models_are_whole_names_and_have_filters_of_their_own() -> None:
    scope = Scope(models=("task", "note"), filters={"task": {"assignee": "ann"}})
    assert [scope.allows_model(type_) for type_ in ("task", "note", "tas", "tasks")] == [True, True, False, False]
    assert scope.filter_for("task") == {"assignee": "ann"}
    assert scope.filter_for("note") is None


@pytest.mark.parametrize(
    ("pattern", "room", "is_allowed"),
    [
        ("lobby", "lobby", True),
        ("lobby", "lobby2", False),
        ("team-*", "team-red", True),
        ("team-*", "team-", True),
        ("team-*", "team", False),
        ("team-*", "my-team-red", False),
        ("*", "anything", True),
        ("t*m", "team", False),
        ("t*m", "t*m", True),
        ("[a-z]", "b", False),
    ],
)
def test_a_star_at_the_end_stands_for_anything_and_elsewhere_for_itself(
    pattern: str, room: str, is_allowed: bool
) -> None:
    assert Scope(rooms=("other", pattern)).allows_room(room) is is_allowed


@pytest.mark.parametrize(
    ("module", "function", "is_allowed"),
    [("Chat", "say", True), ("Chat", "leave", False), ("Ops", "drain", True), ("OpsMore", "drain", False)],
)
def test_a_function_is_allowed_by_itself_or_with_its_module(module: str, function: str, is_allowed: bool) -> None:
    assert Scope(calls=("Chat/say", "Ops/*")).allows_call(module, function) is is_allowed


def test_what_it_says_is_what_it_narrows_and_is_read_again() -> None:
    scope = Scope(models=("task",), filters={"task": {"n": {"$gt": 1}}}, publish=False)
    assert scope.as_dict() == {"models": ("task",), "filters": {"task": {"n": {"$gt": 1}}}, "publish": False}
    assert Scope.read({**scope.as_dict(), "models": ["task"]}) == scope
    assert Scope.EVERYTHING.as_dict() == {}


def test_a_member_that_is_not_known_is_an_error() -> None:
    with pytest.raises(TypeError):
        Scope.read({"batches": False})
