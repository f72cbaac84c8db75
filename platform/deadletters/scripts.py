"""The scripts of dead letters, each with the texts it leans on; lists are found by those of jobs."""

from __future__ import annotations

from pathlib import Path

from platform.jobs.records import LUA as JOBS
from platform.jobs.records import SHARED_SCRIPT
from platform.leases.scripts import Script

LUA = Path(__file__).parent / "lua"
_SHARED = SHARED_SCRIPT + (LUA / "letters.lua").read_text()

SCRIPTS = {file.stem: Script(_SHARED + file.read_text()) for file in LUA.glob("*.lua") if file.stem != "letters"} | {
    name: Script((JOBS / f"{name}.lua").read_text()) for name in ("list", "intersect")
}
