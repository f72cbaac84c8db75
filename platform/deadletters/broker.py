"""The broker as dead letters see it: where a message goes back to, on any broker."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import redis
from kombu.exceptions import OperationalError

from platform import endpoints, store
from platform.deadletters.content import revived
from platform.deadletters.letter import Letter, NotReplayable, Reason
from platform.deadletters.register import Outgoing
from platform.envelope import Envelope
from platform.errors import BrokerUnavailable
from platform.leases.scripts import run
from platform.queues import DEAD_LETTER, DEFAULT_PRIORITY, MAX_PRIORITY, names
from platform.settings import settings
from platform.transport import key_prefix

STEP = "\x06\x16"  # kombu's, between a queue's name and the number of its priority's list
#: A message published twice runs once: better than telling of a failure that a fresh connection cures.
RETRY = {"max_retries": 1, "interval_start": 0.05, "interval_max": 0.2}


@dataclass(frozen=True)
class Parcel:
    """What goes back: ``envelope`` None where the bytes are no message, and then ``message`` as it came."""

    queue: str
    envelope: Envelope | None
    message: bytes

    def outgoing(self) -> Outgoing:
        prefix = key_prefix(settings())
        step = MAX_PRIORITY - (self.envelope.priority if self.envelope else DEFAULT_PRIORITY)
        queue_list = f"{prefix}{self.queue}{STEP}{step}" if step else f"{prefix}{self.queue}"
        return Outgoing(queue_list, f"{prefix}bell:{self.queue}", self.message)


def parcel_of(letter: Letter) -> Parcel:
    """A letter made ready for its queue. Raises NotReplayable for a queue that is no more."""
    known = [name for name in names(settings()) if name != DEAD_LETTER]
    if letter.queue not in known:
        why = f"there is no queue {letter.queue!r} (any more); name it in PLATFORM_QUEUES and serve it"
        raise NotReplayable(letter.dead_letter_id, why)
    envelope = letter.content.envelope
    if envelope is None or (letter.reason == Reason.UNDECODABLE and not letter.edited):
        return Parcel(letter.queue, envelope, letter.message)
    fresh = revived(envelope, letter.edited)
    return Parcel(letter.queue, fresh, fresh.as_text().encode())


def publish(parcel: Parcel, letter_id: str) -> None:
    """Send a parcel to a broker that is not the record store. Raises BrokerUnavailable, NotReplayable."""
    try:
        if endpoints.is_redis(endpoints.broker_url(settings())):
            outgoing = parcel.outgoing()
            run(broker_client(), "put", keys=[outgoing.queue_list, outgoing.bell], args=[outgoing.message])
        elif parcel.envelope is None:
            raise NotReplayable(letter_id, "its bytes are no message, and came from another kind of broker")
        else:
            _publish_by_kombu(parcel.envelope)
    except (OperationalError, *store.AWAY, OSError) as exc:
        raise BrokerUnavailable(f"the broker did not take the message: {exc}; try again shortly") from exc


def _publish_by_kombu(envelope: Envelope) -> None:
    from platform.celery import app

    with app.producer_or_acquire() as producer:
        # RabbitMQ drops what is sent to a queue that nobody has declared yet, and says nothing.
        envelope.publish(producer, declare=[app.amqp.queues[envelope.queue]], retry=True, retry_policy=RETRY)


@cache
def broker_client() -> Any:
    """A client of a broker that is Redis; bytes in and out."""
    config = settings()
    endpoints.ensure_embedded(config)
    url = endpoints.broker_url(config)
    client: redis.Redis = store.connect(url, config, timeout_s=config.broker_timeout_s, as_text=False)
    return client
