"""Real processes of a worker that polls, and the diary it writes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import processes
from tests.integration.conftest import SAMPLES
from tests.waiting import eventually


class Diary:
    """What the sample ``polled`` wrote: lines of a word, a pid and a fence."""

    def __init__(self, folder: Path):
        self.folder = folder

    def lines(self, word: str = "") -> list[tuple[str, int, int]]:
        file = self.folder / "diary"
        parts = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
        return [(a, int(b), int(c)) for a, b, c in parts if c.isdigit() and word in ("", a)]

    def text(self) -> str:
        return (self.folder / "diary").read_text()

    def errors(self) -> int:
        """How many batches raised."""
        return self.text().count("error ") if (self.folder / "diary").exists() else 0

    def wait_for(self, word: str, pid: int | None = None, count: int = 1, timeout_s: float = 40) -> list:
        """Lines of that word, of that process, once there are so many."""

        def found() -> list:
            lines = [line for line in self.lines(word) if pid in (None, line[1])]
            return lines if len(lines) >= count else []

        return eventually(found, timeout_s)

    def put(self, name: str, text: str = "") -> None:
        (self.folder / name).write_text(text)

    def take_away(self, name: str) -> None:
        (self.folder / name).unlink()


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the module ``polled`` is."""
    place = tmp_path / "modules"
    place.mkdir()
    shutil.copy(SAMPLES / "polled.py", place)
    return place


@pytest.fixture
def counter(
    platform_settings: dict[str, object], programs: list[processes.Program], folder: Path, diary: Diary, data_dir: Path
) -> Callable[..., processes.Program]:
    """``counter("--once", lease_ttl_s=2)``: a real ``python -m polled``; keywords are settings."""

    def start(*args: str, **more_settings: object) -> processes.Program:
        env = processes.environment(platform_settings | more_settings)
        env |= {"PYTHONPATH": str(folder), "POLLED_FOLDER": str(diary.folder)}
        command = [sys.executable, "-m", "polled", *args]
        started = processes.Program(command, data_dir / f"counter-{len(programs)}.log", env)
        programs.append(started)
        return started

    return start
