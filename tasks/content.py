"""What is in a file or a folder: digests, counts of lines and words, languages, archives.

Plain functions on the file system, with a callback for progress; ``tasks.files`` makes tasks of them.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Report = Callable[[int, int, str], None]

CHUNK_BYTES = 1 << 20

LANGUAGES = {
    ".bash": "Shell", ".c": "C", ".cc": "C++", ".cfg": "INI", ".cpp": "C++", ".css": "CSS", ".csv": "CSV", ".go": "Go",
    ".h": "C", ".hpp": "C++", ".html": "HTML", ".ini": "INI", ".java": "Java", ".js": "JavaScript", ".json": "JSON",
    ".lua": "Lua", ".md": "Markdown", ".mjs": "JavaScript", ".php": "PHP", ".pl": "Perl", ".py": "Python",
    ".pyi": "Python", ".rb": "Ruby", ".rs": "Rust", ".rst": "reStructuredText", ".sh": "Shell", ".sql": "SQL",
    ".toml": "TOML", ".ts": "TypeScript", ".txt": "Text", ".xml": "XML", ".yaml": "YAML", ".yml": "YAML",
}  # fmt: skip


def files_in(path: Path) -> list[Path]:
    """The regular files at or below a path, sorted; links are not followed, caches and VCS folders are left out."""
    if path.is_file():
        return [path]
    return sorted(walk(path))


def walk(folder: Path) -> Iterator[Path]:
    """The same files one by one, in the order of the file system."""
    for root, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if f not in ("__pycache__", ".git", ".hg", "node_modules")]
        for name in names:
            file = Path(root) / name
            if not file.is_symlink() and file.is_file():  # a link may point where one may not look
                yield file


def digest(file: Path) -> dict[str, Any]:
    """``{"path", "bytes", "sha256"}`` of one file, read a megabyte at a time."""
    sha, size = hashlib.sha256(), 0
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            sha.update(chunk)
            size += len(chunk)
    return {"path": str(file), "bytes": size, "sha256": sha.hexdigest()}


def count(file: Path) -> dict[str, Any]:
    """``{"path", "language", "bytes", "lines", "words"}`` of one file; lines and words are 0 where it is not text."""
    lines = words = size = 0
    is_text = True
    with file.open("rb") as stream:
        for line in stream:
            size += len(line)
            is_text = is_text and b"\0" not in line
            lines += 1
            words += len(line.split())
    language = LANGUAGES.get(file.suffix.lower(), "Other") if is_text else "Binary"
    return {
        "path": str(file),
        "language": language,
        "bytes": size,
        "lines": lines if is_text else 0,
        "words": words if is_text else 0,
    }


def checksum(path: Path, report: Report) -> dict[str, Any]:
    """One digest over a whole folder (names and contents), with each file's own: order and time do not matter."""
    files, whole, total = files_in(path), hashlib.sha256(), 0
    digests = {}
    for number, file in enumerate(files, 1):
        one = digest(file)
        relative = str(file.relative_to(path)) if file != path else file.name
        digests[relative] = one["sha256"]
        whole.update(f"{relative}\0{one['sha256']}\n".encode())
        total += one["bytes"]
        report(number, len(files), relative)
    return {"path": str(path), "files": len(files), "bytes": total, "sha256": whole.hexdigest(), "digests": digests}


def statistics(path: Path, report: Report) -> dict[str, Any]:
    """Files, bytes, lines and words, in all and by language, the language with most lines first."""
    files = files_in(path)
    by_language: dict[str, Counter[str]] = {}
    for number, file in enumerate(files, 1):
        one = count(file)
        totals = by_language.setdefault(one["language"], Counter())
        totals.update({"files": 1, **{key: one[key] for key in ("bytes", "lines", "words")}})
        report(number, len(files), file.name)
    ranked = sorted(by_language.items(), key=lambda item: -item[1]["lines"])
    whole = sum(by_language.values(), Counter())
    return {
        "path": str(path),
        **{key: whole[key] for key in ("files", "bytes", "lines", "words")},
        "languages": {language: dict(totals) for language, totals in ranked},
    }


def archive(path: Path, target: Path, report: Report) -> dict[str, Any]:
    """A compressed tar of a folder at ``target``, there in whole or not at all; returns its digest and file count."""
    files = files_in(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        with tarfile.open(draft, "w:gz", compresslevel=6) as tar:
            for number, file in enumerate(files, 1):
                tar.add(file, arcname=str(file.relative_to(path.parent)), recursive=False)
                report(number, len(files), file.name)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return {**digest(target), "source": str(path), "files": len(files)}
