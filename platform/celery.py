"""The one Celery app.

``celery -A platform …`` finds it here; programs write ``from tasks import app``. It is stock Celery with five
parts of its own: the task class, publishing that records, a durable schedule for what has to wait, results that live
in the record, and a Redis transport with the platform's priorities. Misspelt task options and configuration keys,
which Celery accepts in silence, are refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery import Celery

from platform import options, signals
from platform.delayed.due import due_ms
from platform.errors import NotUnique
from platform.publishing import UNIQUE, UniqueSubmission
from platform.unique import Unique, rule_of

signals.connect()


def _is_not_about_native_delays(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Direct exchanges are not supported with native delayed delivery")


# Celery would say it with every countdown where RabbitMQ's queues are quorum queues; delays are not kept there.
logging.getLogger("celery.app.base").addFilter(_is_not_about_native_delays)


class Platform(Celery):
    """Celery whose decorator refuses options that nothing would ever read."""

    amqp_cls = "platform.publishing:AMQP"
    task_cls = "platform.task:Task"
    loader_cls = "platform.loader:Loader"
    _is_loaded = False

    def task(self, *args: Any, **opts: Any) -> Any:
        """Celery's decorator; unknown options raise UnknownOption here, at import, not when the task is first used."""
        options.check_task_options(opts)
        for function in args:
            options.check_task_function(opts, function)
        made = super().task(*args, **options.as_attributes(opts))
        return made if args or not opts.get("unique") else _checking(opts, made)

    def send_task(
        self,
        name: str,
        args: Any = None,
        kwargs: Any = None,
        countdown: Any = None,
        eta: Any = None,
        *rest: Any,
        **more: Any,
    ) -> Any:
        """Celery's; a time to come goes to the durable schedule, never into a worker's memory or a RabbitMQ exchange.

        Of a unique task the result may be that of the job that stands for this one. Raises UnusableTime for a
        ``countdown`` or ``eta`` no job could wait for, NotUnique.
        """
        due = due_ms(countdown, eta)
        if due is not None:
            more["due_ms"] = due
        rule = rule_of(getattr(self.tasks.get(name), "unique", None))
        if rule is None:
            return super().send_task(name, args, kwargs, None, None, *rest, **more)
        # ``reply_to`` has only a signature whose id was given to somebody (``freeze``).
        more[UNIQUE] = submission = UniqueSubmission(is_awaited=bool(more.get("reply_to")))
        result = super().send_task(name, args, kwargs, None, None, *rest, **more)
        return self._instead(rule, submission.conflict, more) if submission.conflict else result

    def _instead(self, rule: Unique, conflict: NotUnique, more: dict[str, Any]) -> Any:
        """The job that stands for one that was not accepted, where the task's rule is to return it; else raises."""
        if rule.on_conflict != "return":
            raise conflict
        result = (more.get("result_cls") or self.AsyncResult)(conflict.job_id)
        result.ignored = more.get("ignore_result")
        return result

    def prepare_config(self, c: Any) -> Any:
        """Celery's hook on a configuration just read; raises UnknownOption for a key nothing would read."""
        options.check_keys(options.keys_of(c))
        return super().prepare_config(c)

    def load_everything(self) -> Platform:
        """Import the platform's and the user's task modules, so that every task is known. Idempotent."""
        if not self._is_loaded:
            self.loader.import_default_modules()
            self.finalize()
            self._is_loaded = True  # asked for with every change that is submitted
        return self


def _checking(opts: dict[str, Any], decorate: Callable[..., Any]) -> Callable[..., Any]:
    def checked(function: Callable[..., Any]) -> Any:
        options.check_task_function(opts, function)
        return decorate(function)

    return checked


app = Platform("platform", config_source="celeryconfig")
