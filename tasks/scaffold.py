"""The files ``celery -A platform batch new`` writes: a worker, and a test of it that passes."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path

from platform.errors import PlatformError

NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")

WORKER = '''"""{class_name}: says what it does for whoever runs it."""

from __future__ import annotations

from tasks.batch import BatchWorker


class {class_name}(BatchWorker):
    """Takes what waits, a hundred at a time."""

    name = "{name}"
    instances = 1  # so many of it at once, over all machines
    active_s, idle_s = 0.1, 5.0  # after work again soon; without work more and more seldom

    def on_startup(self) -> None:
        """Open what every batch needs; called with a slot in hand."""

    def process_batch(self) -> int:
        """Do some work and return how much; 0 where there is none. What it raises is tried again later."""
        waiting = self.take(100)
        for one in waiting:
            self.check_lease()  # another may be at work if this process was silent for too long
            self.work(one)
        return len(waiting)

    def take(self, most: int) -> list[str]:
        """Up to so many of what waits: a query, a folder, a mailbox."""
        return []

    def work(self, one: str) -> None:
        """One of them. It may come again after a crash: make it repeatable."""

    def on_shutdown(self) -> None:
        """Close what was opened."""

    def on_error(self, exc: Exception) -> None:
        """Tell somebody; the loop has logged it and goes on after a while."""


if __name__ == "__main__":
    {class_name}.main()
'''

TEST = '''"""What {class_name} does with what waits."""

from __future__ import annotations

import pytest
from {name} import {class_name}


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr({class_name}, "work", lambda _, one: found.append(one))
    return found


def test_without_work_there_is_nothing_to_do(done: list[str]) -> None:
    assert ({class_name}().process_batch(), done) == (0, [])


def test_everything_that_waits_is_done_and_counted(done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr({class_name}, "take", lambda *_: ["a", "b"])
    assert ({class_name}().process_batch(), done) == (2, ["a", "b"])
'''


class CannotWrite(PlatformError):
    """The files cannot be written under this name; the message says what to choose."""


def write(name: str, folder: Path) -> list[Path]:
    """Write ``NAME.py`` and ``test_NAME.py``, both or neither; returns their paths. Raises CannotWrite."""
    _check(name)
    class_name = "".join(part.capitalize() for part in name.split("_"))
    texts = {folder / f"{name}.py": WORKER, folder / f"test_{name}.py": TEST}
    for path in texts:
        if path.exists() or path.is_symlink():
            raise CannotWrite(f"{path.name} exists; choose another name or move it away")
    for path, text in texts.items():
        try:
            with path.open("x") as file:
                file.write(text.format(name=name, class_name=class_name))
        except OSError as exc:
            raise CannotWrite(f"{path}: {exc.strerror}; go to a folder where you may write") from exc
    return list(texts)


def _check(name: str) -> None:
    if not NAME.fullmatch(name) or not name.strip("_"):
        raise CannotWrite(f"{name!r} is no name for a module: use small letters, digits and '_', a letter first")
    taken = keyword.iskeyword(name) or name in sys.stdlib_module_names
    if taken or name in ("tasks", "web", "deploy", "celery", "celeryconfig", "test"):
        raise CannotWrite(f"{name!r} is the name of something else that Python knows; choose another one")
