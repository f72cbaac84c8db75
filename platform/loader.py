"""Celery's loader, with two manners more.

A task module that cannot be imported is told in a sentence that names the setting, and bad settings end a command
with their message, not with a traceback.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from celery.loaders.app import AppLoader

from platform.errors import PlatformError, SettingsError
from platform.settings import settings


class WrongSettings(click.ClickException):
    """Printed as it is; exit code 2, like any wrong usage."""

    exit_code = 2


class Loader(AppLoader):
    def config_from_object(self, obj: Any, silent: bool = False) -> Any:
        """Celery's; inside a command SettingsError becomes WrongSettings, elsewhere it stays what it is."""
        try:
            return super().config_from_object(obj, silent=silent)
        except SettingsError as exc:
            raise _for_a_command(exc) from exc

    def import_task_module(self, module: str) -> Any:
        """Celery's; a user's module that is not there or not Python is a SettingsError (in a command: WrongSettings).

        What a module raises while it runs keeps its traceback: that is for its author.
        """
        try:
            return super().import_task_module(module)
        except (SyntaxError, ModuleNotFoundError, PlatformError) as exc:
            problem = _problem(module, exc)
            if problem is None:
                raise
            raise _for_a_command(SettingsError(problem)) from exc


def _problem(module: str, exc: Exception) -> str | None:
    """What to tell of a module in ``PLATFORM_IMPORTS``; None if it is none of those."""
    if module not in settings().imports:
        return None
    if isinstance(exc, SyntaxError):
        return f"PLATFORM_IMPORTS={module}: {exc.filename}, line {exc.lineno}: {exc.msg}"
    if isinstance(exc, ModuleNotFoundError) and module.startswith(f"{exc.name}"):
        return (
            f"PLATFORM_IMPORTS={module}: there is no such module in {Path.cwd()} or on the Python path; "
            "start in its folder or put that in PYTHONPATH"
        )
    return f"PLATFORM_IMPORTS={module}: {exc}"


def _for_a_command(exc: SettingsError) -> Exception:
    return exc if click.get_current_context(silent=True) is None else WrongSettings(str(exc))
