"""What must be known about the running programs when the supervisor cannot be asked any more."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ValidationError

from deploy.supervision.place import Place
from deploy.supervision.processes import Identity


class Running(BaseModel):
    """One program's latest process, and how often it had to be started again since ``up``."""

    process: Identity | None = None
    restarts: int = 0


class Record(BaseModel):
    """One supervised DATA_DIR. The guard keeps it; ``up`` begins it and ``stop`` removes it."""

    socket: Path
    folder: Path  # where `up` was called: the user's own modules are found from there
    supervisor: Identity | None = None
    guard: Identity | None = None
    programs: dict[str, Running] = {}

    def of(self, program: str) -> Running:
        return self.programs.setdefault(program, Running())

    def leaders(self) -> list[Identity]:
        """Every recorded process that leads a group or session: the supervisor and the programs."""
        known = [self.supervisor, self.guard, *(running.process for running in self.programs.values())]
        return [identity for identity in known if identity]

    def save(self, place: Place) -> None:
        draft = place.record.with_suffix(f".{os.getpid()}.new")
        draft.write_text(self.model_dump_json(indent=1))
        draft.replace(place.record)


def load(place: Place) -> Record | None:
    """The record as last saved; None if there is none or it cannot be read."""
    try:
        return Record.model_validate_json(place.record.read_text())
    except (OSError, ValidationError):
        return None
