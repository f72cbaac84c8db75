from __future__ import annotations

from typing import Any

import pytest

from web.client.sockets.interest import Interest


@pytest.mark.parametrize(
    ("wanted", "members"),
    [
        ({"model": "task"}, {"channel": {"model": "task"}}),
        (
            {"model": "task", "id": "t-1", "user_id": "u-1"},
            {"channel": {"model": "task", "id": "t-1", "userId": "u-1"}},
        ),
        ({"model": "task", "filter": {"n": 1}}, {"channel": {"model": "task"}, "filter": {"n": 1}}),
        ({"room": "lobby"}, {"room": "lobby"}),
        ({"job": "j-1"}, {"job": "j-1"}),
        ({"batch": "b-1"}, {"batch": "b-1"}),
    ],
)
def test_it_is_said_as_the_server_understands_it(wanted: dict[str, Any], members: dict[str, Any]) -> None:
    assert Interest(**wanted).members == members


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({}, "not nothing"),
        ({"model": "task", "room": "lobby"}, "not model and room"),
        ({"room": "lobby", "filter": {"n": 1}}, "filter can only be said of a model"),
        ({"job": "j-1", "id": "t-1", "user_id": "u-1"}, "id and user_id can only be said of a model"),
    ],
)
def test_what_has_no_meaning_is_refused_at_once(wanted: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Interest(**wanted)
