"""The worker's consumer: messages that Celery would drop, or die of, are parked first and acknowledged after.

Named in ``worker_consumer``. Every message of a task is looked at (``platform.soundness``) before Celery's handler sees
it; a name nobody knows is put back a few times, each time later, because in a rolling deployment a newer worker may
know it. Left out is Celery's ladder of delays for RabbitMQ's quorum queues: delays are kept elsewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.exceptions import NotRegistered
from celery.worker.consumer.consumer import Consumer as StockConsumer

from platform import losses
from platform.errors import QueueMadeOtherwise
from platform.queues import is_made_otherwise
from platform.settings import settings
from platform.soundness import INVALID, UNDECODABLE, Flaw, flaw_of
from platform.stages.graph import messages_per_slot
from platform.store import AWAY

log = logging.getLogger(__name__)


DELAYED_DELIVERY = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


class Consumer(StockConsumer):
    """Celery's consumer, which loses nothing; it says in a sentence where RabbitMQ's queues are of another kind."""

    class Blueprint(StockConsumer.Blueprint):
        default_steps = [step for step in StockConsumer.Blueprint.default_steps if step != DELAYED_DELIVERY]

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._prefetch_batches()

    def _prefetch_batches(self) -> None:
        """So many messages may be here at once: of each slot a batch."""
        queues = self.app.amqp.queues.consume_from
        most = messages_per_slot(queues, mixes=self.app.conf.worker_disable_prefetch)
        self.prefetch_multiplier *= most
        self.initial_prefetch_count *= most

    #: Called each time the consumer begins, after a reconnection as well.
    begun: Callable[[Any], None] = staticmethod(lambda consumer: None)

    def start(self) -> Any:
        """Celery's; ends the worker with a sentence where RabbitMQ's queues are not what the settings ask for."""
        try:
            return super().start()
        except self.channel_errors as exc:
            if not is_made_otherwise(exc):
                raise
            log.critical("%s", QueueMadeOtherwise(settings().queue_type, str(exc)))
            raise SystemExit(1) from exc

    def on_ready(self) -> None:
        super().on_ready()
        type(self).begun(self)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        handle = super().create_task_handler(*args, **kwargs)
        survivable = (*self.connection_errors, *self.channel_errors, *AWAY)

        def on_task_received(message: Any) -> Any:
            flaw = flaw_of(message)
            if flaw is not None:
                return self._park(message, flaw)
            try:
                if losses.has_to_wait(message):  # of a program that knows nothing of the schedule
                    losses.set_aside_until_eta(message)
                    return message.ack_log_error(log, self.connection_errors)
                return handle(message)
            except survivable:
                raise
            except Exception as exc:
                # Whatever a message makes Celery stumble over must not end the worker, and the next one after it.
                log.exception("a message of task %s could not be taken up", message.headers.get("task"))
                return self._park(message, Flaw(INVALID, f"{type(exc).__name__}: {exc}"))

        return on_task_received

    def on_unknown_message(self, body: Any, message: Any) -> None:
        self._park(message, Flaw(UNDECODABLE, "the message is no task's"))

    def on_decode_error(self, message: Any, exc: BaseException) -> None:
        self._park(message, Flaw(UNDECODABLE, f"the body cannot be read: {exc}"))

    def on_invalid_task(self, body: Any, message: Any, exc: BaseException) -> None:
        self._park(message, Flaw(INVALID, str(exc)))

    def on_unknown_task(self, body: Any, message: Any, exc: BaseException) -> None:
        name = message.headers["task"]
        wait_s = losses.next_wait_for_unknown(message)
        if wait_s is not None:
            log.warning("no task %r is known to this worker; its job is put back for %s s", name, wait_s)
            losses.set_aside_unknown(message, wait_s)
            message.ack_log_error(log, self.connection_errors)
            return
        log.error("no worker knows the task %r; its job is with the dead letters", name)
        losses.park_message(message, "unregistered", NotRegistered(name))
        message.ack_log_error(log, self.connection_errors)

    def _park(self, message: Any, flaw: Flaw) -> None:
        log.error("a message is %s and is with the dead letters: %s", flaw.reason, flaw.text)
        losses.park_message(message, flaw.reason, losses.BadMessage(flaw.text))
        message.ack_log_error(log, self.connection_errors)
