"""A kombu channel that takes messages by lease.

Kombu's own waits with BRPOP, which takes a message before it is recorded: a worker killed between the two loses
it. This one waits on a bell per queue, which carries nothing, and then takes and records with one script call,
several messages at a time. Overridden methods of kombu 5.7: ``_put _brpop_start _brpop_read basic_consume`` of the
channel, ``append ack reject restore_unacked restore_visible`` of its QoS; ``tests/integration/leases`` holds kombu to
what is relied on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from queue import Empty
from time import monotonic
from typing import Any
from weakref import WeakSet

from kombu.transport import redis as stock
from kombu.transport import virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads
from redis.exceptions import NoScriptError, RedisError

from platform import serialization, store
from platform.leases import names
from platform.leases.holdings import Holdings
from platform.leases.riding import rider
from platform.leases.scripts import SCRIPTS, run

log = logging.getLogger(__name__)

#: What one slot takes of a queue whose messages are worked on together: so many bytes, and the message that passes it.
MAX_SLOT_BYTES = 512 * 1024


class QoS(stock.QoS):
    """Acknowledges what a lease holds. Without a lease (a program that is no worker) it is kombu's own."""

    #: Tags not to give back when the channel closes: work that goes on though the connection was lost.
    kept: Callable[[], set[str]] = staticmethod(set)
    #: Those of this process's channels.
    living: WeakSet[QoS] = WeakSet()

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        QoS.living.add(self)

    @classmethod
    def delivered(cls) -> set[str]:
        """The tags of all that was delivered in this process and has not ended. Raises RuntimeError if that changed
        meanwhile: another thread's it is."""
        return {tag for qos in list(cls.living) for tag in tuple(qos._delivered)}

    def append(self, message: Any, delivery_tag: str) -> None:
        if not self.channel.lease:
            super().append(message, delivery_tag)
            return
        virtual.QoS.append(self, message, delivery_tag)  # recorded when it was taken

    def ack(self, delivery_tag: str) -> None:
        if not self.channel.lease:
            super().ack(delivery_tag)
            return
        self.ack_all([delivery_tag])

    def ack_all(self, delivery_tags: Sequence[str]) -> None:
        """Acknowledge what was delivered under a lease, in one round trip."""
        self.channel.release_held(*delivery_tags)
        for tag in delivery_tags:
            virtual.QoS.ack(self, tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if not self.channel.lease:
            super().reject(delivery_tag, requeue=requeue)
            return
        if requeue:
            self.channel.give_back(delivery_tag)
        else:
            self.channel.release_held(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)

    def restore_unacked(self, client: Any = None) -> Any:
        """Give back what this channel holds, but for work that goes on."""
        if not self.channel.lease:
            return super().restore_unacked(client)
        self._flush()
        kept = self.kept()
        for tag in [tag for tag in self._delivered if tag not in kept]:
            self.channel.give_back(tag)
        self._delivered.clear()
        return []

    def restore_visible(self, *args: Any, **kwargs: Any) -> None:
        """Kombu gives back what is older than a timeout; the rescuer gives back what is orphaned."""
        if not self.channel.lease:
            super().restore_visible(*args, **kwargs)


class LeasedChannel(stock.Channel):
    """``lease`` (a transport option) is the incarnation's name; empty, the channel is kombu's own but for the bell."""

    QoS = QoS
    lease = ""
    _client_of_pool: Any = None
    from_transport_options = (*stock.Channel.from_transport_options, "lease")

    #: How many slots are free now, each for one message; a worker sets it.
    capacity: Callable[[], int] = staticmethod(lambda: 1)
    #: Of how many messages of a queue one slot takes at once, where that is more than one; a worker sets it.
    batches: Mapping[str, int] = {}
    #: When a lease's channel last asked the server for messages, by the monotonic clock; for the watchdog.
    asked_at = 0.0
    #: Ends deliveries without this channel's connection; a worker sets it.
    holdings: Holdings | None = None
    #: Joins the lease again after it was lost; a worker sets it.
    rejoin: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._calls = count(1)
        self._is_waiting = False
        self._has_script = True
        self._unacknowledged: set[str] = set()

    # -- taking

    def basic_consume(self, queue: str, no_ack: bool = False, *args: Any, **kwargs: Any) -> Any:
        if no_ack:
            self._unacknowledged.add(queue)
        return super().basic_consume(queue, no_ack, *args, **kwargs)

    def _brpop_start(self, timeout: float | None = None) -> None:
        if not self.lease:
            super()._brpop_start(timeout)
            return
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        connection = self.client.connection
        self._in_poll = connection
        self._brpop_sent_at = LeasedChannel.asked_at = monotonic()
        if self._is_waiting:
            bells = [self._key(f"bell:{queue}") for queue in queues]
            connection.send_command("BRPOP", *bells, timeout or self.brpop_timeout or 1)
        else:
            connection.send_command(*self._fetch_command(queues))

    def _fetch_command(self, queues: list[str]) -> list[Any]:
        fetch = SCRIPTS["fetch"]
        how = ["EVALSHA", fetch.sha] if self._has_script else ["EVAL", fetch.text]
        tags = f"{self.lease}{names.SEPARATOR}{next(self._calls)}."
        facts = [part for queue in queues for part in self._facts_of(queue)]
        paused = names.paused(self.global_keyprefix)
        slots = max(1, self.capacity())
        return [*how, 0, self.global_keyprefix, self.lease, tags, slots, MAX_SLOT_BYTES, paused, *facts]

    def _facts_of(self, queue: str) -> tuple[str, int, int]:
        return queue, int(queue not in self._unacknowledged), self.batches.get(queue, 1)

    def _brpop_read(self, **options: Any) -> bool:
        if not self.lease:
            return super()._brpop_read(**options)
        was_waiting, self._is_waiting = self._is_waiting, False
        try:
            answer = self._read_answer("BRPOP" if was_waiting else "EVALSHA", options)
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        if was_waiting or answer is None:
            raise Empty
        return self._deliver_all(answer)

    def _read_answer(self, command: str, options: dict[str, Any]) -> Any:
        try:
            answer = self.client.parse_response(self.client.connection, command, **options)
        except NoScriptError:
            self._has_script = False  # a restarted server has forgotten it; EVAL teaches it again
            return None
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        if command == "EVALSHA":
            self._has_script = True
        return answer

    def _deliver_all(self, answer: list[bytes]) -> bool:
        if len(answer) == 1:
            self.rejoin()
            raise Empty
        if not answer:
            self._is_waiting = True
            raise Empty
        for at in range(0, len(answer), 4):
            tag, queue, deaths, item = answer[at : at + 4]
            self._queue_cycle.rotate(bytes_to_str(queue))
            self._deliver_one(bytes_to_str(tag), bytes_to_str(queue), bytes_to_str(deaths), item)
        return True

    def _deliver_one(self, tag: str, queue: str, deaths: str, item: bytes) -> None:
        message = decoded(item)
        if message is None:
            self.put_aside(tag, queue, item)
            return
        properties = message["properties"]
        properties["delivery_tag"] = tag
        info = properties.get("delivery_info")
        properties["delivery_info"] = info if isinstance(info, dict) else {"exchange": "", "routing_key": queue}
        if deaths:
            properties["deaths"] = int(deaths)
            properties["delivery_info"]["redelivered"] = True
        try:
            self.connection._deliver(message, queue)
        except (RedisError, OSError):
            raise
        except Exception:
            # Whatever a message makes Celery stumble over must not end the worker, and the next one after it.
            log.exception("a message of queue %s could not be taken up", queue)
            virtual.QoS.ack(self.qos, tag)
            self.put_aside(tag, queue, item)

    # -- what is held

    def release_held(self, *tags: str) -> None:
        """Deliveries of one channel are over. Safe to repeat, and after this channel was closed."""
        held = self._held(tags[0])
        if self.holdings is not None:
            self.holdings.release(held, tags)
            return
        with self.conn_or_acquire() as client:
            run(client, "release", args=[held, *tags])

    def give_back(self, tag: str, front: bool = True) -> bool:
        """Put a delivery back into its list, marked; False if it is not held any more."""
        return self._end(tag, "give_back", [self.global_keyprefix, self._held(tag), tag, int(front)])

    def put_aside(self, tag: str, queue: str, item: bytes) -> None:
        """Keep bytes that no worker can make anything of, as they came, where none trips over them again."""
        log.error("queue %s held %s bytes that are no task's message; they are put aside", queue, len(item))
        self._end(tag, "put_aside", [self._key(names.UNDECODABLE), self._held(tag), tag, queue, item])

    def _end(self, tag: str, script: str, arguments: list[Any]) -> bool:
        if self.holdings is not None:
            return self.holdings.end(tag, script, arguments)
        with self.conn_or_acquire() as client:
            return bool(run(client, script, args=arguments))

    def _held(self, tag: str) -> str:
        return names.held(self.global_keyprefix, names.incarnation_of(tag) or self.lease)

    # -- publishing

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        """Publish, ring the queue's bell and write the record that rides along, in one round trip."""
        record = rider()
        if kwargs.get("_publish_batch") is not None or queue in self._expires:
            if record is not None:
                record.alone()
            super()._put(queue, message, **kwargs)
            return
        key = self._q_for_pri(queue, self._get_message_priority(message, reverse=False))
        keys = [self._key(key), self._key(f"bell:{queue}")]
        with self.conn_or_acquire() as client:
            if record is not None:
                record.with_message(client, keys[0], keys[1], dumps(message))
            else:
                run(client, "put", keys=keys, args=[dumps(message)])

    def _get_pool(self, asynchronous: bool = False) -> Any:
        pool = super()._get_pool(asynchronous)
        store.make_fork_safe(pool)
        return pool

    def _create_client(self, asynchronous: bool = False) -> Any:
        """One client for all commands; kombu makes a new one for every publish and acknowledgement, 0.2 ms each."""
        if asynchronous:
            return super()._create_client(asynchronous)
        pool = self.pool
        if self._client_of_pool is None or self._client_of_pool.connection_pool is not pool:
            self._client_of_pool = super()._create_client()
        return self._client_of_pool

    def _key(self, key: str) -> str:
        return f"{self.global_keyprefix}{key}"


def _read(item: bytes) -> Any:
    """Kombu's own reader knows values that JSON has not, and takes twice as long. Raises ValueError, RecursionError."""
    if b"__type__" not in item:
        with suppress(ValueError):
            return serialization.decode(item)
    return loads(item.decode())


def decoded(item: bytes) -> dict[str, Any] | None:
    """The envelope kombu wrote, or None for bytes that are none: no JSON, no object, no properties."""
    try:
        message = _read(item)
    except (ValueError, RecursionError):
        return None
    is_envelope = isinstance(message, dict) and isinstance(message.get("properties"), dict)
    return message if is_envelope else None
