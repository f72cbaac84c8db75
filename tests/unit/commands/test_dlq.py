"""The page for people, and what needs no server."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from click.testing import CliRunner

from platform.deadletters.letter import LetterState, Reason
from tasks.commands.dlq import REASONS, STATES, dlq
from tasks.commands.letters import print_letter
from web.client import models
from web.schemas.deadletters import ReasonName

LETTER: dict[str, Any] = {
    "dead_letter_id": "letter-1",
    "state": "dead",
    "reason": "worker_lost",
    "task": "shop.add",
    "queue": "batch",
    "job_id": None,
    "attempts": 4,
    "replayed": 1,
    "first_failed_at": "2026-11-22T10:00:00.000Z",
    "dead_at": "2026-11-22T10:07:00.000Z",
    "owner": None,
    "app_id": None,
    "error": {"type": "ValueError", "message": "no\nat all", "traceback": ""},
    "evidence": {"signal": "SIGKILL"},
    "args": ["x" * 5_000],
    "kwargs": {},
    "original": {"args": [1], "kwargs": {}},
    "message": {"base64": "", "bytes": 0, "content_type": None, "headers": None},
    "history": [
        {"event": "died", "at": "2026-11-22T10:01:00.000Z", "reason": "expired", "attempts": 1,
         "error": {"type": "Expired", "message": "\x1b[31m late"}},
        {"event": "edited", "at": "2026-11-22T10:02:00.000Z", "by": "ann", "args": [2]},
        {"event": "replayed", "at": "2026-11-22T10:03:00.000Z", "by": "cli:root"},
    ],
}  # fmt: skip


def test_every_list_of_reasons_and_states_is_the_same() -> None:
    assert list(REASONS) == list(Reason) == list(get_args(ReasonName)) == list(get_args(models.DeathReason))
    assert list(STATES) == list(LetterState) == list(get_args(models.LetterState))


def test_a_letter_is_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    print_letter(LETTER)
    page = capsys.readouterr().out
    for line in (
        "letter-1  dead",
        "  runs          4, replayed 1 time",
        "  ValueError: no",
        "  at all",
        "  signal  SIGKILL",
        "  args before    [1]",
        '  2026-11-22T10:02:00.000Z  edited   by ann: {"args": [2]}',
        "  2026-11-22T10:03:00.000Z  replayed by cli:root",
    ):
        assert line in page.splitlines()
    assert "(5004 characters)" in page


def test_nothing_in_a_letter_acts_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_letter(LETTER)
    assert "\x1b[31m" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [("edit", "x", "--args", "{}"), ("replay", "x", "--rate", "0"), ("ls", "--reason", "x")]
)
def test_wrong_usage_is_refused_before_anything_is_asked(arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(dlq, arguments).exit_code == 2
