"""All checks, one after the other, and what they found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from platform.audit import (
    backlog,
    celerykeys,
    clockwork,
    deployment,
    host,
    live,
    orphans,
    rabbitmq,
    taskoptions,
    taskretries,
    transportoptions,
    valkey,
)
from platform.audit.finding import Finding, Severity, note
from platform.audit.subject import Subject

Check = Callable[[Subject], Iterable[Finding]]

TOPICS: dict[str, tuple[Check, ...]] = {
    "servers": (*valkey.CHECKS, *rabbitmq.CHECKS),
    "settings": deployment.CHECKS,
    "celery": (*celerykeys.CHECKS, *transportoptions.CHECKS),
    "tasks": (*taskoptions.CHECKS, *taskretries.CHECKS),
    "now": (*backlog.CHECKS, *orphans.CHECKS, *live.CHECKS, *clockwork.CHECKS),
    "machine": host.CHECKS,
}
_WORST_FIRST = list(Severity)


@dataclass(frozen=True)
class Report:
    """Findings, the worst first; ``checks`` counts what was looked for, found or not."""

    findings: list[Finding]
    checks: int
    took_s: float

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)

    def is_healthy(self, *, strict: bool = False) -> bool:
        """Nothing worse than a warning; ``strict``: than a note."""
        return not self.count(Severity.ERROR) and not (strict and self.count(Severity.WARNING))


def examine(subject: Subject) -> Report:
    """Look at everything once. Raises nothing: what cannot be examined is a finding too."""
    began = time.monotonic()
    _ = subject.loading  # first: a user's modules change what the checks look at
    found = [replace(one, topic=topic) for topic, checks in TOPICS.items() for one in _run_all(checks, subject)]
    unique = list(dict.fromkeys(found))
    unique.sort(key=lambda finding: _WORST_FIRST.index(finding.severity))
    checks = sum(len(checks) for checks in TOPICS.values()) + len(celerykeys.RULES) - 1
    return Report(unique, checks, time.monotonic() - began)


def _run_all(checks: Iterable[Check], subject: Subject) -> Iterator[Finding]:
    for check in checks:
        yield from _run(check, subject)


def _run(check: Check, subject: Subject) -> list[Finding]:
    try:
        return list(check(subject))
    except Exception as exc:  # noqa: BLE001 - a server may go away under a check; the others still tell what they see
        return [
            note(
                "not-examined",
                f"{check.__module__.rpartition('.')[2]}.{check.__name__} could not be looked at: "
                f"{type(exc).__name__}: {exc}",
                "what it would have found is not in this list",
                "correct the findings above, then run this again",
            )
        ]
