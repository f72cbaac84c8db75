"""The work: registries for functions, providers, batches and models, and the one Celery app.

``from tasks import app`` gives the app from any folder; ``Discard`` and ``RetryLater`` steer a job. Importing this
package is cheap: the app itself is built on first use, because every ``celery`` command imports the package for its
plug-ins.

The first lines lend the standard library's ``platform`` this project's folder of that name
(``platform/__init__.py`` tells why), so ``import platform.celery`` works wherever ``tasks`` came first.
"""

from __future__ import annotations

from pathlib import Path

import platform

if not hasattr(platform, "__path__"):
    platform.__path__ = [str(Path(__file__).resolve().parent.parent / "platform")]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from platform.celery import app as app
    from platform.steering import Discard as Discard
    from platform.steering import RetryLater as RetryLater

__all__ = ["Discard", "RetryLater", "app"]


def __getattr__(name: str) -> object:
    if name == "app":
        from platform.celery import app

        return app
    if name in ("Discard", "RetryLater"):
        from platform import steering

        return getattr(steering, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
