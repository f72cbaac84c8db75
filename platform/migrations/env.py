"""What Alembic runs around the steps; the connection comes from ``steps.py``, in a transaction of its own."""

from __future__ import annotations

from alembic import context

from platform.database import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # on SQLite too: the transaction has begun before the first statement
)
context.run_migrations()
