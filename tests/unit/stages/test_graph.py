"""Stages stand where they say, in the order they were declared; what cannot be is refused where it is written."""

from __future__ import annotations

import pytest

from platform.stages.graph import Graph
from platform.stages.stage import BadStage, Side, Stage


def stage(name: str, batch: int = 1) -> Stage:
    return Stage(name, f"shop.{name}", f"pipeline.{name}", batch)


@pytest.fixture
def graph() -> Graph:
    made = Graph()
    made.begin(stage("write"), stage("route"), stage("deliver"))
    return made


def names(graph: Graph) -> list[str]:
    return [one.name for one in graph]


def fed_by(graph: Graph, name: str) -> list[str]:
    return [one.name for one in graph.followers(name)]


def test_without_stages_of_ones_own_a_change_is_written_routed_and_delivered(graph: Graph) -> None:
    assert graph.first().name == "write"
    assert fed_by(graph, "write") == ["route"]
    assert fed_by(graph, "route") == ["deliver"]
    assert fed_by(graph, "deliver") == []


def test_stages_before_write_come_in_the_order_they_were_declared(graph: Graph) -> None:
    for name in ("enrich", "check", "sign"):
        assert graph.add(stage(name), before="write").side == Side.BEFORE
    assert names(graph)[:4] == ["enrich", "check", "sign", "write"]
    assert graph.first().name == "enrich"
    assert fed_by(graph, "check") == ["sign"]


def test_a_stage_may_stand_before_or_after_another_one(graph: Graph) -> None:
    graph.add(stage("enrich"), before="write")
    graph.add(stage("check"), before="enrich")
    graph.add(stage("sign"), after="enrich")
    graph.add(stage("seal"), after="enrich")
    graph.add(stage("weigh"), after="check", before="enrich")
    assert names(graph)[:6] == ["check", "weigh", "enrich", "sign", "seal", "write"]


def test_stages_after_write_are_side_by_side(graph: Graph) -> None:
    for name in ("email", "index"):
        assert graph.add(stage(name), after="write").side == Side.AFTER
    assert fed_by(graph, "write") == ["route", "email", "index"]


def test_a_stage_may_follow_another_one_behind_write_or_come_between(graph: Graph) -> None:
    graph.add(stage("email"), after="write")
    graph.add(stage("log"), after="email")
    graph.add(stage("sift"), before="email")
    graph.add(stage("sort"), after="sift", before="email")
    assert fed_by(graph, "write") == ["route", "sift"]
    assert [fed_by(graph, name) for name in ("sift", "sort", "email")] == [["sort"], ["email"], ["log"]]


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ({}, 'before="write" or after="write"'),
        ({"before": "wriet"}, "no stage 'wriet'; did you mean 'write'"),
        ({"after": "x"}, "there are write, route, deliver"),
        ({"before": "new"}, "before or after itself"),
        ({"after": "route"}, "nothing comes between write, route and deliver"),
        ({"before": "deliver"}, "nothing comes between"),
        ({"before": "one", "after": "two"}, "a circle: one comes before two"),
        ({"before": "write", "after": "email"}, "a circle"),
        ({"before": "email", "after": "log"}, "a circle: email does not come after log"),
    ],
)
def test_a_place_that_cannot_be_is_refused(graph: Graph, where: dict[str, str], text: str) -> None:
    graph.add(stage("one"), before="write")
    graph.add(stage("two"), before="write")
    graph.add(stage("email"), after="write")
    graph.add(stage("log"), after="email")
    before = names(graph)
    with pytest.raises(BadStage, match=text):
        graph.add(stage("new"), **where)
    assert names(graph) == before


def test_a_name_is_taken_once(graph: Graph) -> None:
    graph.add(stage("email"), after="write")
    with pytest.raises(BadStage, match=r"already, the task shop\.email; choose another name"):
        graph.add(stage("email"), after="write")


@pytest.mark.parametrize("name", ["", "Email", "e mail", "1st", "e/mail", "x" * 64, "-x"])
def test_a_name_is_fit_for_a_queues_name(name: str) -> None:
    with pytest.raises(BadStage, match="cannot be called"):
        stage(name)


@pytest.mark.parametrize("batch", [0, -1, 1001, True, 2.5])
def test_a_batch_is_a_number_within_bounds(batch: int) -> None:
    with pytest.raises(BadStage, match="between 1 and 1000"):
        stage("email", batch)
