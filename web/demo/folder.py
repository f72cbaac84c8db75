"""What the demonstration works on: a folder, or as much of it as is done in seconds."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.content import walk
from web.demo.failure import DemoFailed

MAX_FILES = 20_000
MAX_BYTES = 300_000_000
# Of the standard library the demonstration copies less: it need not be long to be seen.
COPY_MAX_FILES = 1_000
COPY_MAX_BYTES = 20_000_000
# Trying to find a part that is small enough ends after this long, in seconds.
SEARCH_S = 5.0


@dataclass(frozen=True)
class Folder:
    """``path`` is what is worked on; ``files`` are its files with their sizes in bytes; ``note`` says what it is."""

    path: Path
    files: list[tuple[Path, int]]
    note: str

    @property
    def total_bytes(self) -> int:
        return sum(size for _, size in self.files)

    def sample(self, most: int) -> list[Path]:
        """At most so many readable files, evenly from all over the folder."""
        readable = [file for file, _ in self.files if os.access(file, os.R_OK)]
        count = min(most, len(readable))
        return [readable[number * len(readable) // count] for number in range(count)]

    def largest(self, most: int) -> list[tuple[Path, int]]:
        return sorted(self.files, key=lambda found: -found[1])[:most]


def chosen(path: Path) -> Folder:
    """The folder, or the largest one inside it that fits the bounds. Raises DemoFailed for one that will not do."""
    path = path.expanduser().resolve()
    if not path.exists():
        raise DemoFailed(f"{path} does not exist; name a folder with some files in it")
    if not path.is_dir():
        raise DemoFailed(f"{path} is not a folder; name a folder with some files in it")
    files = _measured(path)
    if files is None:
        return _part_of(path)
    if not files:
        raise DemoFailed(f"there are no files in {path}; name a folder with some in it")
    return Folder(path, files, "")


def standard_library(copy_to: Path) -> Folder:
    """A copy of a part of Python's standard library: its folder may also hold everything ever installed."""
    library = Path(os.__file__).parent
    size = 0
    for number, file in enumerate(_modules(library)):
        size += file.stat().st_size
        if number >= COPY_MAX_FILES or size > COPY_MAX_BYTES:
            break
        target = copy_to / file.relative_to(library)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return Folder(copy_to, _measured(copy_to) or [], f"a copy of Python's standard library ({library})")


def _modules(library: Path) -> Iterator[Path]:
    left_out = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3"}
    files = walk(library)
    return (f for f in files if f.suffix in (".py", ".txt") and not left_out & set(f.relative_to(library).parts))


def _measured(path: Path) -> list[tuple[Path, int]] | None:
    """The files at or below a path, sorted, with their sizes; None if they are beyond the bounds."""
    found, size = [], 0
    for file, bytes_ in _sizes(walk(path)):
        size += bytes_
        found.append((file, bytes_))
        if len(found) > MAX_FILES or size > MAX_BYTES:
            return None
    return sorted(found)


def _sizes(files: Iterable[Path]) -> Iterator[tuple[Path, int]]:
    for file in files:
        try:
            yield file, file.stat().st_size
        except OSError:  # gone again, or in a folder that may be listed but not entered
            continue


def _part_of(path: Path) -> Folder:
    deadline = time.monotonic() + SEARCH_S
    level = [path]
    while level and time.monotonic() < deadline:
        below = [child for folder in level for child in _folders_in(folder)]
        fitting = [(c, f) for c in below if time.monotonic() < deadline and (f := _measured(c))]
        if fitting:
            part, files = max(fitting, key=lambda found: len(found[1]))
            return Folder(part, files, f"{path} has more than {MAX_FILES:,} files or {MAX_BYTES // 10**6} MB")
        level = below
    raise DemoFailed(f"{path} is too large for a demonstration, and so is all that is in it; name a smaller folder")


def _folders_in(folder: Path) -> list[Path]:
    """Those that are not hidden, links, or other file systems: what is in /proc is no file of anybody's."""
    try:
        device = folder.stat().st_dev
        return sorted(
            child
            for child in folder.iterdir()
            if child.is_dir() and not child.is_symlink() and child.name[0] != "." and child.stat().st_dev == device
        )
    except OSError:
        return []
