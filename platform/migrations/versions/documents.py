"""Documents, and the changes that were made to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

IS_THERE = sa.text("document IS NOT NULL")
IS_GONE = sa.text("document IS NULL")


def upgrade() -> None:
    op.create_table(
        "documents",
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("app_id", sa.String(64), nullable=False),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text),
        sa.PrimaryKeyConstraint("key", name="pk_documents"),
    )
    _partial("ix_documents_listed", ["app_id", "type", "created_ms", "id"], IS_THERE)
    _partial("ix_documents_owned", ["app_id", "type", "user_id", "created_ms", "id"], IS_THERE)
    _partial("ix_documents_deleted", ["updated_ms"], IS_GONE)
    op.create_table(
        "applied_changes",
        sa.Column("change_id", sa.String(128), nullable=False),
        sa.Column("applied_ms", sa.BigInteger, nullable=False),
        sa.Column("committed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("change_id", name="pk_applied_changes"),
    )
    op.create_index("ix_applied_changes_applied_ms", "applied_changes", ["applied_ms"])


def _partial(name: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, "documents", columns, sqlite_where=where, postgresql_where=where)
