"""The tables behind documents."""

from __future__ import annotations

from typing import cast

from sqlalchemy import BigInteger, Index, LargeBinary, String, Table, Text
from sqlalchemy.orm import Mapped, mapped_column

from platform.database import Base


class StoredDocument(Base):
    """A document as it is now; ``document`` is its JSON, system fields included, and NULL once it is deleted.

    The row of a deleted one stays for a while, so that one made again under its id goes on counting versions.
    ``key`` is ``app_id:type:id``, none of which has a colon. Text, not the databases' JSON types: those reorder keys
    and rewrite numbers, and what followers put together from patches must equal what is stored, byte for byte.
    """

    __tablename__ = "documents"

    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    app_id: Mapped[str] = mapped_column(String(64))
    type: Mapped[str] = mapped_column(String(40))
    id: Mapped[str] = mapped_column(String(128))
    user_id: Mapped[str] = mapped_column(String(64))
    version: Mapped[int] = mapped_column(BigInteger)
    created_ms: Mapped[int] = mapped_column(BigInteger)
    updated_ms: Mapped[int] = mapped_column(BigInteger)
    document: Mapped[str | None] = mapped_column(Text)


class AppliedChange(Base):
    """A change that was decided, kept for as long as it may come again. ``committed``: its outcome, made or refused, as
    compressed JSON."""

    __tablename__ = "applied_changes"

    change_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    applied_ms: Mapped[int] = mapped_column(BigInteger, index=True)
    committed: Mapped[bytes] = mapped_column(LargeBinary)


documents = cast(Table, StoredDocument.__table__)
applied_changes = cast(Table, AppliedChange.__table__)
_is_there = documents.c.document.is_not(None)
_is_gone = documents.c.document.is_(None)
Index(
    "ix_documents_listed",
    *(documents.c[name] for name in ("app_id", "type", "created_ms", "id")),
    sqlite_where=_is_there,
    postgresql_where=_is_there,
)
Index(
    "ix_documents_owned",
    *(documents.c[name] for name in ("app_id", "type", "user_id", "created_ms", "id")),
    sqlite_where=_is_there,
    postgresql_where=_is_there,
)
Index("ix_documents_deleted", documents.c.updated_ms, sqlite_where=_is_gone, postgresql_where=_is_gone)
