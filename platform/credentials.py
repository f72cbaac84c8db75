"""Secrets a development machine makes for itself, kept in ``DATA_DIR/secrets`` (mode 0600).

In production they must be set; ``Settings`` refuses to start without them, so nothing is made here.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from platform.errors import SettingsError
from platform.settings import Settings


def signing_keys(settings: Settings) -> list[str]:
    """Keys for signatures, newest first; older ones still verify."""
    if settings.secret_keys:
        return [key.get_secret_value() for key in settings.secret_keys]
    return [_made_once(settings.data_dir, "signing_key")]


def flower_password(settings: Settings) -> str:
    if settings.flower_password is not None:
        return settings.flower_password.get_secret_value()
    return _made_once(settings.data_dir, "flower_password")


def _made_once(data_dir: Path, name: str) -> str:
    folder = data_dir / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / name
    if not file.exists():
        _create(file, secrets.token_urlsafe(32))
    if text := file.read_text():
        return text
    raise SettingsError(f"{file} is empty; delete it and start again")


def _create(file: Path, text: str) -> None:
    """Appear whole or not at all: of several processes that start at once, the first link wins."""
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
    try:
        with suppress(FileExistsError):
            os.link(draft, file)
    finally:
        draft.unlink()
