"""All checks together: order, exit, and a check that fails itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from platform.audit import examination
from platform.audit.finding import Finding, Severity, error, note, warning
from platform.audit.subject import Subject

ROOT = Path(__file__).resolve().parent.parent.parent.parent


def examined(subject: Subject, monkeypatch: pytest.MonkeyPatch, *checks: examination.Check) -> examination.Report:
    monkeypatch.setattr(examination, "TOPICS", {"now": checks})
    return examination.examine(subject)


def one_of_each(subject: Subject) -> Iterator[Finding]:
    yield note("c", "", "", "")
    yield warning("b", "", "", "")
    yield error("a", "", "", "")
    yield warning("b", "", "", "")


def test_the_worst_come_first_and_nothing_twice(
    new_subject: Callable[..., Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    report = examined(new_subject(), monkeypatch, one_of_each)
    assert [(one.code, one.topic) for one in report.findings] == [("a", "now"), ("b", "now"), ("c", "now")]


@pytest.mark.parametrize(
    ("severity", "healthy", "strictly"), [("error", False, False), ("warning", True, False), ("note", True, True)]
)
def test_what_counts_as_healthy(severity: str, healthy: bool, strictly: bool) -> None:
    report = examination.Report([Finding(Severity(severity), "x", "", "", "")], 1, 0.1)
    assert (report.is_healthy(), report.is_healthy(strict=True)) == (healthy, strictly)


def test_a_check_that_fails_leaves_the_others_to_speak(
    new_subject: Callable[..., Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(subject: Subject) -> Iterator[Finding]:
        yield note("x", "", "", "")
        raise KeyError("y")

    report = examined(new_subject(), monkeypatch, failing, one_of_each)
    assert [one.code for one in report.findings] == ["a", "b", "not-examined", "c"]


def test_every_code_there_is_has_a_test() -> None:
    """A check nobody has seen fire is a guess."""
    called = r"(?:error|warning|note|severe)\(\s*\"([a-z-]+)\""
    by_rule = r"\*\(\"\w+\", \"([a-z-]+)\", [EWN],"
    source = "".join(file.read_text() for file in (ROOT / "platform" / "audit").glob("*.py"))
    there = {*re.findall(called, source), *re.findall(by_rule, source)}
    tests = "".join(file.read_text() for file in (ROOT / "tests").glob("*/audit/*.py"))
    tests += (ROOT / "tests" / "integration" / "test_doctor.py").read_text()
    assert len(there) > 100
    assert sorted(code for code in there if f'{code}"' not in tests) == []
