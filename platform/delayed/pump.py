"""The pump: hands what is due to the queues, and calls whose turn it is under a limit.

Every worker has one; any number of them may run at once.

Where the queues are lists beside the records, one script moves messages, so that each is in one place at every moment.
Elsewhere they are taken for a while, published, and then forgotten: a worker that dies in between leaves them to
another, and a message published twice starts one job, for a job that runs or has ended does not start again.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

from platform import clock
from platform.delayed.schedule import Schedule
from platform.envelope import Envelope

log = logging.getLogger(__name__)

#: A message put in meanwhile is noticed after this long, in seconds, or at once if that is told (``Schedule.listen``);
#: one already known is handed over on time.
POLL_S = 0.2
#: How many messages one script call moves; some 70 µs each, during which the server does nothing else.
BATCH = 100
BATCHES_A_STEP = 100
MOST_HEARD = 1000
#: A taking is long over after this, in milliseconds; then another worker's pump repeats it.
LEASE_MS = 15_000
#: RabbitMQ closes a connection that was idle; the next publish finds out.
ONE_RECONNECT = {"max_retries": 1, "interval_start": 0}


class Pump:
    """``queue_prefix`` is where the queues' lists are, if they are beside the records; ``hearts_prefix`` where workers'
    heartbeats are, if they are, and how long one lasts."""

    def __init__(
        self, schedule: Schedule, app: Any, queue_prefix: str | None, hearts_prefix: str = "", lease_ttl_s: float = 0
    ):
        self._schedule, self._app, self._queue_prefix = schedule, app, queue_prefix
        self._hearts = (hearts_prefix, int(lease_ttl_s * 1000))

    def run(self) -> float:
        """``step``, and wait until there is more to do; returns 0."""
        pause_s = self.step()
        if pause_s > 0 and self._heard.get_message(timeout=pause_s):
            for _ in range(MOST_HEARD):  # told many times at once, it is enough to look once
                if self._heard.get_message() is None:
                    break
        return 0.0

    def step(self) -> float:
        """Hand over what is due; returns in how many seconds to ask again."""
        look_s = self._schedule.call(*self._hearts, BATCH)
        for _ in range(BATCHES_A_STEP):
            handed, following_ms = self._hand_over()
            if handed < BATCH:
                return min(_pause_s(following_ms), POLL_S if look_s is None else look_s)
        return 0.0

    @cached_property
    def _heard(self) -> Any:
        return self._schedule.listen()

    def _hand_over(self) -> tuple[int, int | None]:
        if self._queue_prefix is not None:
            return self._schedule.move(self._queue_prefix, BATCH)
        lease, messages, following_ms = self._schedule.take(BATCH, LEASE_MS)
        known = [(job_id, envelope) for job_id, envelope in messages if self._is_known(job_id, envelope.queue)]
        if known:
            self._publish(lease, known)
        return len(messages), following_ms

    def _publish(self, lease: str, messages: list[tuple[str, Envelope]]) -> None:
        published: list[str] = []
        left = [job_id for job_id, _ in messages]
        try:
            with self._app.producer_or_acquire() as producer:
                for job_id, envelope in messages:
                    if self._is_sent(producer, job_id, envelope):
                        published.append(job_id)
                    left.remove(job_id)
        finally:
            self._schedule.settle(lease, published, left)

    def _is_sent(self, producer: Any, job_id: str, envelope: Envelope) -> bool:
        """Publish one; False for a message kombu cannot make anything of, which must not hold up the others."""
        queue = self._app.amqp.queues[envelope.queue]
        try:
            # Declared, because a broker drops without a word what is sent to a queue it has not got.
            envelope.publish(producer, declare=[queue], retry=True, retry_policy=ONE_RECONNECT)
        except (TypeError, ValueError):
            log.exception("the message of job %s cannot be published; it stays in the schedule", job_id)
            return False
        return True

    def _is_known(self, job_id: str, queue: str) -> bool:
        if queue in self._app.amqp.queues:
            return True
        # Its taking runs out; until then a worker of other settings may find it due.
        log.warning("job %s is due, but its queue %r is not in this worker's PLATFORM_QUEUES", job_id, queue)
        return False


def _pause_s(following_ms: int | None) -> float:
    if following_ms is None:
        return POLL_S
    return max(0.0, min(POLL_S, (following_ms - clock.now_ms()) / 1000))
