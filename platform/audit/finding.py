"""What a check found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad: jobs are or will be lost, stuck or open to strangers; will hurt some day; good to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One dangerous thing. ``code`` is stable, for scripts; ``fix`` is a setting or a command; one sentence each."""

    severity: Severity
    code: str
    problem: str
    why: str
    fix: str
    topic: str = ""

    def as_dict(self) -> dict[str, str]:
        return {**asdict(self), "severity": self.severity.value}


def error(code: str, problem: str, why: str, fix: str) -> Finding:
    return Finding(Severity.ERROR, code, problem, why, fix)


def warning(code: str, problem: str, why: str, fix: str) -> Finding:
    return Finding(Severity.WARNING, code, problem, why, fix)


def note(code: str, problem: str, why: str, fix: str) -> Finding:
    return Finding(Severity.NOTE, code, problem, why, fix)
