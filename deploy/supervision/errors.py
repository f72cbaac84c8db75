"""What can go wrong when everything is run on one machine."""

from __future__ import annotations

from platform.errors import PlatformError


class NotRunning(PlatformError):
    """Nothing is supervised in this DATA_DIR."""


class AlreadyRunning(PlatformError):
    """This DATA_DIR is being supervised already."""


class PortTaken(PlatformError):
    """A port that a setting names belongs to another program."""


class UnknownService(PlatformError):
    """No program of that name is part of the platform."""


class StartFailed(PlatformError):
    """Something did not come up; the message says what, and how its log ends."""


class StopFailed(PlatformError):
    """Something did not end in the time it has."""


class UpdateRefused(PlatformError):
    """The new code cannot be loaded; nothing was restarted."""
