"""Where the broker, the record store and the database are, embedded ones included.

Reading an address starts nothing; ``ensure_embedded()`` does, and only when an address is the
embedded server's.
"""

from __future__ import annotations

from functools import cache

from platform import embedded
from platform.settings import Settings, settings

REDIS_SCHEMES = ("redis", "rediss", "redis+socket", "sentinel")


def is_redis(url: str) -> bool:
    return url.partition("://")[0] in REDIS_SCHEMES


def broker_url(settings: Settings) -> str:
    return settings.broker_url or embedded.endpoint(settings.data_dir).url


def redis_url(settings: Settings) -> str:
    if settings.redis_url:
        return settings.redis_url
    if settings.broker_url and is_redis(settings.broker_url):
        return settings.broker_url
    return embedded.endpoint(settings.data_dir).url


def database_url(settings: Settings) -> str:
    return settings.database_url or f"sqlite:///{settings.data_dir / 'platform.db'}"


@cache
def records_are_beside_queues() -> bool:
    """Whether a script on the records can also see the queues: one server, of this process's settings."""
    config = settings()
    return redis_url(config) == broker_url(config)


def uses_embedded(settings: Settings) -> bool:
    """Whether this configuration needs the embedded Valkey."""
    broker_elsewhere = settings.broker_url is not None
    records_elsewhere = settings.redis_url is not None or (broker_elsewhere and is_redis(settings.broker_url or ""))
    return not (broker_elsewhere and records_elsewhere)


def ensure_embedded(settings: Settings) -> None:
    """Start the embedded Valkey if this configuration uses it and it is not running."""
    if uses_embedded(settings):
        embedded.ensure_running(settings.data_dir)
