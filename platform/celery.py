"""The one Celery app.

``celery -A platform …`` finds it here; programs write ``from tasks import app``. It is stock Celery with four
parts of its own: the task class, publishing that records, results that live in the record, and a Redis
transport with the platform's priorities. Misspelt task options and configuration keys, which Celery
accepts in silence, are refused.
"""

from __future__ import annotations

from typing import Any

from celery import Celery

from platform import options, signals

signals.connect()


class Platform(Celery):
    """Celery whose decorator refuses options that nothing would ever read."""

    amqp_cls = "platform.publishing:AMQP"
    task_cls = "platform.task:Task"
    loader_cls = "platform.loader:Loader"

    def task(self, *args: Any, **opts: Any) -> Any:
        """Celery's decorator; unknown options raise UnknownOption here, at import, not when the task is first used."""
        options.check_task_options(opts)
        return super().task(*args, **options.as_attributes(opts))

    def prepare_config(self, c: Any) -> Any:
        """Celery's hook on a configuration just read; raises UnknownOption for a key nothing would read."""
        options.check_keys(options.keys_of(c))
        return super().prepare_config(c)

    def load_everything(self) -> Platform:
        """Import the platform's and the user's task modules, so that every task is known. Idempotent."""
        self.loader.import_default_modules()
        self.finalize()
        return self


app = Platform("platform", config_source="celeryconfig")
