"""Kombu's Redis transport with leases and the platform's priority scale, under URL schemes of its own.

A scheme of its own (``valkey://`` for ``redis://`` and so on) survives kombu's failover, which reads the
transport from the next URL; and it leaves other Celery apps in the same process alone.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as stock
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError
from redis.retry import Retry

from platform.leases.channel import LeasedChannel
from platform.queues import DEFAULT_PRIORITY, MAX_PRIORITY
from platform.settings import Settings

SCHEMES = {"redis": "valkey", "rediss": "valkeys", "redis+socket": "valkey+socket", "sentinel": "valkey-sentinel"}

# How programs that publish connect: whoever refuses is tried again a moment later, whoever is silent is given up
# after one timeout. Seconds. Kombu's own way pauses two seconds first.
QUICK_CONNECT = {"interval_start": 0.05, "interval_step": 0.05, "interval_max": 0.2, "connect_retries_timeout": 0.2}


class Channel(LeasedChannel):
    """Takes by lease, the most urgent first: priority 9 is kept in the list that Redis is asked for first."""

    def _get_message_priority(self, message: dict[str, Any], *, reverse: bool = False) -> int:
        try:
            priority = int(message["properties"]["priority"])
        except (KeyError, TypeError, ValueError):
            priority = DEFAULT_PRIORITY
        return MAX_PRIORITY - max(min(priority, MAX_PRIORITY), 0)

    def _connparams(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """One reconnect, and none after a timeout: redis-py would try four times, each for as long as the timeout."""
        retry = Retry(NoBackoff(), 1, supported_errors=(ConnectionError,))
        return super()._connparams(*args, **kwargs) | {"retry": retry}


class Transport(stock.Transport):
    Channel = Channel


class SentinelChannel(Channel, stock.SentinelChannel):
    # Of the two parents' options the first one's would hide the other's, the master's name among them.
    from_transport_options = (*stock.SentinelChannel.from_transport_options, "lease")


class SentinelTransport(stock.SentinelTransport):
    Channel = SentinelChannel


def key_prefix(config: Settings) -> str:
    """Before every key of the transport; shares the record store's hash tag, so that scripts may touch both."""
    return f"{{{config.key_prefix}}}:queue:"


def url(broker_url: str) -> str:
    """The URL with this module's scheme where kombu's Redis transport would serve it; others unchanged."""
    return ";".join(_own_scheme(part) for part in broker_url.split(";"))


def _own_scheme(part: str) -> str:
    scheme, separator, rest = part.partition("://")
    return f"{SCHEMES.get(scheme, scheme)}{separator}{rest}"


def stock_url(broker_url: str) -> str:
    """The other way round, for programs that know kombu's schemes only (Flower)."""
    back = {own: theirs for theirs, own in SCHEMES.items()}
    scheme, separator, rest = broker_url.partition("://")
    return f"{back.get(scheme, scheme)}{separator}{rest}"


TRANSPORT_ALIASES.update(
    {
        "valkey": "platform.transport:Transport",
        "valkeys": "platform.transport:Transport",
        "valkey-sentinel": "platform.transport:SentinelTransport",
    }
)
