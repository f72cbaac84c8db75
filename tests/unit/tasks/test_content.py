"""What is in a folder, counted by hand."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import pytest

from tasks import content


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub" / "__pycache__").mkdir(parents=True)
    (root / "a.py").write_bytes(b"import os\n\nprint(os)\n")
    (root / "sub" / "b.md").write_bytes(b"# one two\n")
    (root / "sub" / "c.bin").write_bytes(b"\0\1\n")
    (root / "sub" / "__pycache__" / "a.pyc").write_bytes(b"cache")
    (root / "link").symlink_to(root / "a.py")
    return root


@pytest.fixture
def reports() -> list[tuple[int, int, str]]:
    return []


def test_caches_and_links_are_left_out(folder: Path) -> None:
    assert [str(file.relative_to(folder)) for file in content.files_in(folder)] == ["a.py", "sub/b.md", "sub/c.bin"]
    assert content.files_in(folder / "a.py") == [folder / "a.py"]


def test_lines_and_words_are_counted_by_language(folder: Path, reports: list) -> None:
    found = content.statistics(folder, lambda *report: reports.append(report))
    assert {key: found[key] for key in ("files", "lines", "words", "bytes")} == {
        "files": 3, "lines": 4, "words": 6, "bytes": 34,
    }  # fmt: skip
    assert list(found["languages"]) == ["Python", "Markdown", "Binary"]
    assert found["languages"]["Python"] == {"files": 1, "bytes": 21, "lines": 3, "words": 3}
    assert reports[-1][:2] == (3, 3)


def test_a_folders_checksum_depends_on_names_and_contents_only(folder: Path, tmp_path: Path) -> None:
    first = content.checksum(folder, lambda *_: None)
    assert first["digests"]["a.py"] == hashlib.sha256((folder / "a.py").read_bytes()).hexdigest()
    moved = folder.rename(tmp_path / "elsewhere")
    (moved / "a.py").touch()
    assert content.checksum(moved, lambda *_: None)["sha256"] == first["sha256"]
    (moved / "a.py").rename(moved / "z.py")
    assert content.checksum(moved, lambda *_: None)["sha256"] != first["sha256"]


def test_an_archive_holds_the_files_and_says_its_digest(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "x.tar.gz"
    found = content.archive(folder, target, lambda *_: None)
    with tarfile.open(target) as tar:
        assert tar.getnames() == ["root/a.py", "root/sub/b.md", "root/sub/c.bin"]
    assert found["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()


def test_an_interrupted_archive_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        content.archive(folder, tmp_path / "out" / "x.tar.gz", interrupt)
    assert list((tmp_path / "out").iterdir()) == []
