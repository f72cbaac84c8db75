"""What is wrong with a message is said before any of it is used."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from platform.soundness import flaw_of

HEADERS = {"id": "x", "task": "shop.add", "retries": 0, "timelimit": [None, 5.0], "eta": None}


def message(headers: Any = HEADERS, payload: Any = ([1], {}, {}), error: Exception | None = None) -> Any:
    """What flaw_of looks at; ``payload`` decodes as kombu's does, or raises."""

    class Message(SimpleNamespace):
        @property
        def payload(self) -> Any:
            if error:
                raise error
            return payload

    return Message(headers=headers, content_type="application/json")


def test_a_good_message_has_no_flaw() -> None:
    assert flaw_of(message()) is None
    assert flaw_of(message(HEADERS | {"eta": "2030-01-01T00:00:00+00:00", "stamped_headers": []})) is None
    assert flaw_of(message(payload=json.loads("[[], {}, null]"))) is None


@pytest.mark.parametrize("headers", [None, {}, [], "x", {"task": "a"}, {"id": "x"}, {"id": [1], "task": "a"}])
def test_headers_that_name_no_job_make_it_undecodable(headers: Any) -> None:
    flaw = flaw_of(message(headers))
    assert flaw is not None
    assert flaw.reason == "undecodable"


@pytest.mark.parametrize("error", [ValueError("x"), UnicodeDecodeError("utf-8", b"", 0, 1, "x"), KeyError("y")])
def test_a_body_that_cannot_be_read_makes_it_undecodable(error: Exception) -> None:
    flaw = flaw_of(message(error=error))
    assert flaw is not None
    assert flaw.reason == "undecodable"


@pytest.mark.parametrize("payload", [None, 7, "abc", [], [[], {}], [1, {}, {}], [[], [], {}], [[], {}, 7]])
def test_a_body_of_another_shape_makes_it_invalid(payload: Any) -> None:
    flaw = flaw_of(message(payload=payload))
    assert flaw is not None
    assert flaw.reason == "invalid"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        *(("eta", value) for value in (7, "soon", [1], "2030-13-99")),
        *(("expires", value) for value in ([1], "x")),
        *(("timelimit", value) for value in ("x", [1], [None, "5"], {"a": 1}, [-1, None], [True, "x"])),
        ("retries", "three"),
        ("stamped_headers", 7),
        ("groups", 7),
    ],
)
def test_a_header_celery_would_stumble_over_makes_it_invalid(header: str, value: Any) -> None:
    flaw = flaw_of(message(HEADERS | {header: value}))
    assert flaw is not None
    assert (flaw.reason, repr(header) in flaw.text) == ("invalid", True)
