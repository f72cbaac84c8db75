from __future__ import annotations

import os
from pathlib import Path

import pytest

from web.demo import folder as folders
from web.demo.failure import DemoFailed
from web.demo.folder import Folder, chosen, standard_library


def write(root: Path, *names: str, size: int = 1) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x" * size)
    return root


def names(folder: Folder) -> list[str]:
    return [str(file.relative_to(folder.path)) for file, _ in folder.files]


def test_a_small_folder_is_taken_whole(tmp_path: Path) -> None:
    folder = chosen(write(tmp_path, "b.txt", "a/c.txt", "a/__pycache__/d.pyc", ".git/e"))
    assert (names(folder), folder.total_bytes, folder.note) == (["a/c.txt", "b.txt"], 2, "")


def test_of_a_large_folder_the_largest_part_that_fits_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_FILES", 3)
    write(tmp_path, "big/1", "big/2", "big/3", "big/4", "small/1", "fits/1", "fits/2", ".hidden/1", ".hidden/2")
    folder = chosen(tmp_path)
    assert folder.path == tmp_path / "fits"
    assert "has more than 3 files" in folder.note


def test_parts_are_looked_for_further_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_BYTES", 25)
    write(tmp_path, "one/two/a", "one/two/b", "one/three/c", "one/three/d", size=10)
    assert chosen(tmp_path).path.parent == tmp_path / "one"


def test_a_folder_with_nothing_small_in_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_BYTES", 5)
    with pytest.raises(DemoFailed, match="too large for a demonstration"):
        chosen(write(tmp_path, "a/b/c", size=10))


def test_links_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "real/file")
    os.symlink("/", tmp_path / "real" / "everything")
    os.symlink("/proc/1/cwd", tmp_path / "real" / "nobody's")
    assert names(chosen(tmp_path)) == ["real/file"]


def test_a_sample_comes_from_all_over(tmp_path: Path) -> None:
    folder = chosen(write(tmp_path, *(f"{number:03}" for number in range(100))))
    assert [file.name for file in folder.sample(4)] == ["000", "025", "050", "075"]
    assert len(folder.sample(1000)) == 100


def test_the_largest_come_first(tmp_path: Path) -> None:
    write(write(tmp_path, "small", size=1), "large", size=9)
    assert [file.name for file, _ in chosen(tmp_path).largest(1)] == ["large"]


def test_the_standard_library_is_copied_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "COPY_MAX_FILES", 20)
    folder = standard_library(tmp_path / "library")
    assert len(folder.files) == 20
    assert not [file for file, _ in folder.files if "site-packages" in file.parts]
