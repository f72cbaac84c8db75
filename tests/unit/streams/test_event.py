"""What is told of a change, to whom."""

from __future__ import annotations

import json

import pytest

from platform.documents.change import Act
from platform.streams.event import from_fields, kind_of, of_change, of_resync, placed
from tests.changes import change


@pytest.mark.parametrize("act", ["create", "patch", "delete"])
@pytest.mark.parametrize("made", [of_change, of_resync])
def test_an_event_is_read_back_from_the_stream_as_it_was(act: Act, made: type) -> None:
    event = made(change(2, act))
    flat = event.fields()
    assert from_fields("shop:task", dict(zip(flat[::2], flat[1::2], strict=True))) == event


@pytest.mark.parametrize(
    ("act", "before", "now", "kind"),
    [
        ("create", False, True, "change"),
        ("create", False, False, None),
        ("patch", True, True, "change"),
        ("patch", False, True, "enter"),
        ("patch", True, False, "leave"),
        ("patch", False, False, None),
        ("delete", False, True, "change"),
        ("delete", False, False, None),
    ],
)
def test_followers_of_a_part_are_told_by_what_was_and_is_in_it(
    act: Act, before: bool, now: bool, kind: str | None
) -> None:
    assert kind_of(act, before, now) == kind


@pytest.mark.parametrize("act", ["create", "patch", "delete"])
def test_after_a_gap_nobody_is_left_with_a_document_that_is_not_in_their_part(act: Act) -> None:
    assert kind_of(act, False, True, is_resync=True) == "change"
    assert kind_of(act, False, False, is_resync=True) == ("change" if act == "delete" else "leave")


def test_the_kind_is_judged_on_the_documents() -> None:
    event = of_change(change(3))
    assert event.kind(lambda document: document["n"] == 3) == "enter"
    assert event.kind(lambda document: document["n"] == 2) == "leave"
    assert event.kind(lambda document: document["n"] == 1) is None
    assert event.kind(None) == "change"


def test_a_frame_is_placed_on_a_channel() -> None:
    frame = json.loads(placed(of_change(change(1)).frame("change"), 'app:shop:model:"task"', 17))
    assert (frame["channel"], frame["offset"]) == ('app:shop:model:"task"', 17)
    assert (frame["event"], frame["model"], frame["id"], frame["version"]) == ("model_created", "task", "d1", 1)
