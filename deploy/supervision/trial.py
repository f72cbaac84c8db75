"""What the programs will load, tried out in a process of its own before anything is started or stopped.

``schema`` loads what a worker does, and then brings the database up to date.
"""

from __future__ import annotations

import subprocess
import sys

from deploy.supervision.programs import GUNICORN_CONFIGURATION

TRIALS = {
    "web": ("-m", "gunicorn", "--check-config", "-c", str(GUNICORN_CONFIGURATION), "web.wsgi:app"),
    "worker": ("-c", "import tasks; tasks.app.loader.import_default_modules(); tasks.app.finalize()"),
    "schema": ("-m", "celery", "-A", "platform", "config", "migrate"),
}


def complaint(what: str) -> str | None:
    """Why ``web``, ``worker`` or ``schema`` will not do with the code and settings of now; None if it will."""
    trial = subprocess.run(  # noqa: S603
        [sys.executable, *TRIALS[what]], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if trial.returncode == 0:
        return None
    lines = (trial.stderr or trial.stdout).strip().splitlines() or ["no word about it"]
    return lines[-1].removeprefix("platform.errors.SettingsError: ").removeprefix("Error: ")
