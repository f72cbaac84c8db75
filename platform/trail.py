"""The audit trail: who did what, when, to what; in the SQL database, newest first.

An act is written down before it is done and struck out if it was refused, so that nothing is ever done that is not
there. Importing this brings in SQLAlchemy; command modules do so inside their functions.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import String, Text, delete, func, select
from sqlalchemy.orm import Mapped, mapped_column

from platform import serialization
from platform.database import Base, DatabaseUnavailable, UtcDateTime, reading, writing

log = logging.getLogger(__name__)

MAX_CHARS = 255
MAX_DETAILS_CHARS = 100_000


class Line(Base):
    __tablename__ = "audit_trail"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(String(MAX_CHARS))
    action: Mapped[str] = mapped_column(String(64), index=True)
    subject: Mapped[str] = mapped_column(String(MAX_CHARS), index=True)
    details: Mapped[str] = mapped_column(Text)


@dataclass(frozen=True)
class Act:
    """One line. ``actor`` is an account's e-mail address or ``cli:<user>``; ``subject`` an id, or empty for many."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    details: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        at = self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return asdict(self) | {"at": at}


@dataclass(frozen=True)
class Page:
    items: list[Act]
    total: int


@contextmanager
def recorded(actor: str, action: str, subject: str = "", details: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Do what is in the block as an audited act; if it raises, it was refused and leaves no line.

    ``details`` over 100 000 characters of JSON are left out, and that is said. Raises DatabaseUnavailable before
    anything is done.
    """
    line_id = _write(actor, action, subject, details or {})
    try:
        yield
    except BaseException:
        _strike_out(line_id)
        raise


def acts(action: str | None = None, subject: str | None = None, offset: int = 0, limit: int = 50) -> Page:
    """What was done, newest first; ``action`` may end in a dot, and then means all that begin so."""
    chosen = []
    if action is not None:
        chosen.append(
            Line.action.startswith(action, autoescape=True) if action.endswith(".") else Line.action == action
        )
    if subject is not None:
        chosen.append(Line.subject == subject)
    with reading() as session:
        total = session.scalar(select(func.count()).select_from(Line).where(*chosen)) or 0
        found = session.scalars(select(Line).where(*chosen).order_by(Line.id.desc()).offset(offset).limit(limit))
        return Page([_act(line) for line in found], total)


def _write(actor: str, action: str, subject: str, details: Mapping[str, Any]) -> int:
    text = serialization.encode(details).decode()
    if len(text) > MAX_DETAILS_CHARS:
        text = serialization.encode({"left_out": f"{len(text)} characters of JSON"}).decode()
    now = datetime.now(UTC)
    line = Line(at=now, actor=actor[:MAX_CHARS], action=action, subject=subject[:MAX_CHARS], details=text)
    with writing() as session:
        session.add(line)
        session.flush()
        return line.id


def _strike_out(line_id: int) -> None:
    try:
        with writing() as session:
            session.execute(delete(Line).where(Line.id == line_id))
    except DatabaseUnavailable as exc:
        # A line too many is better than an error that hides why the act was refused.
        log.warning("the refused act %s stays in the audit trail: %s", line_id, exc)


def _act(line: Line) -> Act:
    return Act(line.id, line.at, line.actor, line.action, line.subject, msgspec.json.decode(line.details))
