"""Files as work: tasks per file, functions per folder, and the provider ``files``.

Only paths at or below ``PLATFORM_FILES_ROOTS`` are read: whoever may submit jobs may not read the whole machine.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from platform.errors import PlatformError, did_you_mean
from platform.settings import settings
from tasks import app, content
from tasks.modules import function
from tasks.offload import InvalidProperties, Provider, action


class PathNotAllowed(PlatformError):
    """The path lies outside every allowed root, or does not exist."""

    is_permanent = True


def allowed(path: str) -> Path:
    """The path, resolved. Raises PathNotAllowed unless it exists at or below an allowed root."""
    roots = [root.expanduser().resolve() for root in settings().files_roots]
    if not roots:
        raise PathNotAllowed("no folder may be read; name some in PLATFORM_FILES_ROOTS")
    resolved = Path(path).expanduser().resolve()
    if not any(resolved.is_relative_to(root) for root in roots):
        raise PathNotAllowed(f"{path} is outside the folders in PLATFORM_FILES_ROOTS")
    if not resolved.exists():
        raise PathNotAllowed(f"{path} does not exist")
    return resolved


@app.task(public=True, throws=(PathNotAllowed, OSError))
def digest(path: str) -> dict[str, Any]:
    """SHA-256 and size of one file."""
    return content.digest(allowed(path))


@app.task(public=True, throws=(PathNotAllowed, OSError))
def count(path: str) -> dict[str, Any]:
    """Language, lines, words and bytes of one file."""
    return content.count(allowed(path))


@function("Files", bind=True, throws=(PathNotAllowed, OSError))
def statistics(self: Any, path: str) -> dict[str, Any]:
    """Lines, words and bytes of a folder, by language."""
    return content.statistics(allowed(path), self.progress)


@function("Files", bind=True, throws=(PathNotAllowed, OSError))
def checksum(self: Any, path: str) -> dict[str, Any]:
    """One SHA-256 over everything in a folder."""
    result = content.checksum(allowed(path), self.progress)
    del result["digests"]
    return result


class Files(Provider):
    """``checksum``, ``statistics`` and ``archive`` of a folder, kept as resources: PUT ``{"path": "/some/folder"}``."""

    name = "files"
    TYPES: ClassVar[tuple[str, ...]] = ("checksum", "statistics", "archive")

    def validate(self, type: str, name: str, properties: dict[str, Any]) -> None:
        if type not in self.TYPES:
            raise InvalidProperties(
                f"type {type!r} is not one of {', '.join(self.TYPES)}{did_you_mean(type, self.TYPES)}"
            )
        if not isinstance(properties.get("path"), str) or set(properties) != {"path"}:
            raise InvalidProperties('send exactly {"path": "/a/file/or/folder"}')

    def create_or_update(self, type: str, name: str, properties: dict[str, Any]) -> dict[str, Any]:
        self.validate(type, name, properties)
        path = allowed(properties["path"])
        if type == "archive":
            return content.archive(path, _archive_file(self.app_id, name), self.progress)
        return getattr(content, type)(path, self.progress)

    def delete(self, type: str, name: str) -> dict[str, Any]:
        if type == "archive":
            shutil.rmtree(_archive_file(self.app_id, name).parent, ignore_errors=True)
        return {"deleted": name}

    @action
    def verify(self, type: str, name: str, path: str) -> dict[str, Any]:
        """The folder's checksum as it is now, to compare with the stored one."""
        now = content.checksum(allowed(path), self.progress)
        return {"sha256": now["sha256"], "files": now["files"]}


def _archive_file(app_id: str, name: str) -> Path:
    # Quoted, so that a name cannot climb out of its tenant's folder or meet another's.
    return settings().data_dir / "archives" / _quoted(app_id) / _quoted(name) / "archive.tar.gz"


def _quoted(name: str) -> str:
    return "_" + quote(name, safe="")
