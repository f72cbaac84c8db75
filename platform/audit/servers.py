"""The Valkey or Redis servers of a configuration, looked at once: what they say of themselves and whether they serve.

A server that does not answer is ``Away``, with the reason; nobody waits longer than the broker timeout for it, or a
few seconds for an embedded one that is just starting.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Any, cast

import redis

from platform import embedded, endpoints, store
from platform.errors import PlatformError
from platform.settings import Settings

START_PATIENCE_S = 2.0
PINGS = 5
PROBE_TTL_MS = 1000
#: What the platform, its scripts and kombu's transport ask a server to do.
COMMANDS = (
    *("eval", "evalsha", "script", "brpop", "lpush", "rpush", "rpop", "ltrim", "llen", "subscribe", "publish"),
    *("hset", "hget", "hdel", "hlen", "hrandfield", "sadd", "srem", "smembers", "zadd", "zrange", "zrem", "zcard"),
    *("set", "mget", "exists", "pexpire", "scan", "multi", "time"),
)
_PROBE = "redis.call('SET', KEYS[1], '1', 'PX', ARGV[1]) return redis.call('DEL', KEYS[1])"


@dataclass(frozen=True)
class Place:
    """Where a server is and what for; ``role`` begins a sentence."""

    role: str
    url: str

    @property
    def address(self) -> str:
        """The URL without its password."""
        scheme, separator, rest = self.url.partition("://")
        return f"{scheme}{separator}{rest.rpartition('@')[2]}"


@dataclass(frozen=True)
class Away:
    """A server that gives no answers."""

    place: Place
    reason: str


@dataclass(frozen=True)
class Server:
    """A server that answers. ``settings`` is empty if it keeps ``CONFIG`` from us; times in seconds."""

    place: Place
    client: redis.Redis
    info: dict[str, Any]
    settings: dict[str, str]
    missing_commands: list[str]
    refuses_writes: str
    ping_s: float
    ahead_s: float
    role: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "role", self.place.role)


def places(config: Settings) -> list[Place]:
    """The broker, if it is Redis, and the record store, if it is another server."""
    broker, records = endpoints.broker_url(config), endpoints.redis_url(config)
    if not endpoints.is_redis(broker):
        return [Place("the record store", records)]
    if broker == records:
        return [Place("the broker and record store", broker)]
    return [Place("the broker", broker), Place("the record store", records)]


def look(config: Settings) -> list[Server | Away]:
    return [_look(place, config) for place in places(config)]


def _look(place: Place, config: Settings) -> Server | Away:
    is_embedded = place.url == embedded.endpoint(config.data_dir).url
    try:
        if is_embedded and not embedded.is_served(config.data_dir):
            embedded.ensure_running(config.data_dir)
        client = store.connect(place.url, config, timeout_s=config.broker_timeout_s)
        store.insist(client.ping, START_PATIENCE_S if is_embedded else 0)
        return _read(place, client, config)
    except (redis.RedisError, PlatformError, OSError, ValueError) as exc:
        return Away(place, _reason(exc))


def _reason(exc: BaseException) -> str:
    cause = exc.__cause__ if isinstance(exc, PlatformError) and exc.__cause__ else exc
    return f"{cause}" or type(cause).__name__


def _read(place: Place, client: redis.Redis, config: Settings) -> Server:
    return Server(
        place=place,
        client=client,
        info=client.info(),
        settings=_settings(client),
        missing_commands=_missing_commands(client),
        refuses_writes=_refuses_writes(client, f"{store.key_prefix(config)}doctor:{secrets.token_hex(4)}"),
        ping_s=min(_seconds_of(client.ping) for _ in range(PINGS)),
        ahead_s=_ahead_s(client),
    )


def _settings(client: redis.Redis) -> dict[str, str]:
    try:
        return cast(dict[str, str], client.config_get("*"))
    except redis.ResponseError:
        return {}


def _missing_commands(client: redis.Redis) -> list[str]:
    """Those that were renamed or taken away; none if the server does not tell."""
    try:
        answer = cast(list[Any], client.execute_command("COMMAND LIST"))
    except redis.ResponseError:
        return []
    known = {(name if isinstance(name, str) else name.decode()).lower() for name in answer}
    return [name for name in COMMANDS if name not in known]


def _refuses_writes(client: redis.Redis, key: str) -> str:
    """Write and delete one key by a script; the server's words if it will not."""
    try:
        client.eval(_PROBE, 1, key, str(PROBE_TTL_MS))
    except redis.ResponseError as exc:
        return str(exc)
    return ""


def _seconds_of(call: Any) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _ahead_s(client: redis.Redis) -> float:
    """How far the server's clock is ahead of this machine's, taken in the middle of the question."""
    began = time.time()
    seconds, microseconds = client.time()
    return seconds + microseconds / 1e6 - (began + time.time()) / 2
