"""Running the steps. Imports Alembic, which takes about 0.3 s; ask for it only when something is to be done."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from sqlalchemy import Connection


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest step, inside the caller's transaction. Tables that are there are adopted."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def pending(connection: Connection) -> list[tuple[str, str]]:
    """The steps not taken yet, oldest first: name and what it does. None for a schema newer than this release."""
    script = ScriptDirectory.from_config(_config())
    now = MigrationContext.configure(connection).get_current_revision()
    try:
        steps = list(script.iterate_revisions("head", now or "base"))
    except ResolutionError:
        return []
    return [(step.revision, step.doc) for step in reversed(steps) if step.revision != now]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
