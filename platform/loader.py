"""Celery's loader, with one manner more: bad settings end a command with their message, not with a traceback."""

from __future__ import annotations

from typing import Any

import click
from celery.loaders.app import AppLoader

from platform.errors import SettingsError


class WrongSettings(click.ClickException):
    """Printed as it is; exit code 2, like any wrong usage."""

    exit_code = 2


class Loader(AppLoader):
    def config_from_object(self, obj: Any, silent: bool = False) -> Any:
        """Celery's; inside a command SettingsError becomes WrongSettings, elsewhere it stays what it is."""
        try:
            return super().config_from_object(obj, silent=silent)
        except SettingsError as exc:
            if click.get_current_context(silent=True) is None:
                raise
            raise WrongSettings(str(exc)) from exc
