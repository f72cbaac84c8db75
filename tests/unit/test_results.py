from __future__ import annotations

import pytest
from celery.exceptions import Reject

from platform.errors import PlatformError
from platform.results import describe_error
from platform.serialization import decode, encode


class Refusal(PlatformError):
    def __init__(self, facts: object):
        super().__init__("it does not fit")
        self.facts = facts


def test_an_error_is_kept_by_name_and_message() -> None:
    assert describe_error(ValueError("on purpose")) == {"type": "ValueError", "message": "on purpose"}


@pytest.mark.parametrize(
    ("exc", "message"),
    [
        (Reject("no thanks"), "no thanks"),
        (Reject(ValueError("it is odd"), requeue=False), "it is odd"),
        (Reject(), "the task gave no reason"),
    ],
)
def test_a_rejection_is_kept_with_its_reason(exc: Reject, message: str) -> None:
    assert describe_error(exc) == {"type": "Reject", "message": message}


def test_a_long_message_is_cut() -> None:
    assert len(describe_error(ValueError("x" * 5_000))["message"]) == 2_000


def test_a_message_that_is_no_utf8_is_kept_readable() -> None:
    error = describe_error(ValueError("no such file: caf\udce9"))
    assert error == {"type": "ValueError", "message": "no such file: caf\\udce9"}
    assert decode(encode(error)) == error


def test_what_an_error_says_to_programs_is_kept_with_it() -> None:
    facts = {"errors": [{"loc": ["title"], "msg": "Field required"}]}
    assert describe_error(Refusal(facts)) == {"type": "Refusal", "message": "it does not fit", "facts": facts}


@pytest.mark.parametrize("facts", [{}, None, {"a": "x" * 8_000}, {"a": object()}], ids=["empty", "none", "long", "odd"])
def test_facts_that_no_record_should_hold_are_left_out(facts: object) -> None:
    assert "facts" not in describe_error(Refusal(facts))


def test_only_the_platforms_own_errors_have_facts() -> None:
    stranger = ValueError("on purpose")
    stranger.facts = {"a": 1}  # type: ignore[attr-defined]
    assert "facts" not in describe_error(stranger)
