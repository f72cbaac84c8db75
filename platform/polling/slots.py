"""The slots of a worker in the record store: taken, renewed and given back, each one script call.

``polling:slot:<name>:<n>`` is a hash with a TTL: who holds it and its ``fence``. ``polling:fence:<name>`` is the last
fence given out, ``polling:names`` who was ever at work, with how many
slots, ``polling:stopped`` who may not be. Names have no colon.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
import redis

from platform import endpoints, store
from platform.leases.scripts import Script, run
from platform.settings import Settings, settings

# KEYS: stopped, names, fence, slots … ARGV: name, holder, TTL in ms, facts. The fence is at least the time in ms: so it
# grows even where the store lost what it knew. Returns {'stopped'}, {'held'}, or {'taken', number of the slot, fence}.
TAKE = Script("""
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1 then return {'stopped'} end
for at = 4, #KEYS do
  if redis.call('EXISTS', KEYS[at]) == 0 then
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local fence = string.format('%.0f', math.max(now, tonumber(redis.call('GET', KEYS[3]) or 0) + 1))
    redis.call('SET', KEYS[3], fence)
    redis.call('HSET', KEYS[2], ARGV[1], #KEYS - 3)
    redis.call('HSET', KEYS[at], 'holder', ARGV[2], 'fence', fence, 'facts', ARGV[4])
    redis.call('PEXPIRE', KEYS[at], ARGV[3])
    return {'taken', at - 4, fence}
  end
end
return {'held'}
""")

# KEYS: slot, stopped. ARGV: name, holder, TTL in ms, progress. Returns 0 not held any more, 1 renewed, 2 and to stop.
RENEW = Script("""
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'progress', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1 + redis.call('SISMEMBER', KEYS[2], ARGV[1])
""")

# KEYS: slot. ARGV: holder.
RELEASE = Script("""
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
""")


@dataclass(frozen=True)
class Taken:
    number: int
    fence: int


class Slots:
    """The slots of one worker, as one process sees them; every method may be called from any thread."""

    def __init__(self, client: redis.Redis, prefix: str, name: str, instances: int, ttl_s: float):
        self.client, self.prefix, self.name = client, f"{prefix}polling:", name
        self.instances, self.ttl_s = instances, ttl_s

    def take(self, holder: str, how: str) -> Taken | str:
        """A free slot, or why there is none: ``held`` or ``stopped``; ``how`` is what the process is, for people."""
        facts = {"host": socket.gethostname(), "pid": os.getpid(), "how": how, "since": time.time()}
        keys = [*self._shared("stopped", "names", f"fence:{self.name}"), *map(self._key, range(self.instances))]
        verdict, *told = run(self.client, TAKE, keys, [self.name, holder, self._ttl_ms, msgspec.json.encode(facts)])
        return Taken(int(told[0]), int(told[1])) if verdict == "taken" else str(verdict)

    def renew(self, number: int, holder: str, progress: Mapping[str, Any]) -> tuple[bool, bool]:
        """Whether the slot is still held, for another TTL; whether its holder is asked to stop."""
        keys, told = [self._key(number), *self._shared("stopped")], msgspec.json.encode(progress)
        answer = run(self.client, RENEW, keys, [self.name, holder, self._ttl_ms, told])
        return answer > 0, answer == 2

    def release(self, number: int, holder: str) -> None:
        run(self.client, RELEASE, [self._key(number)], [holder])

    @property
    def _ttl_ms(self) -> int:
        return int(self.ttl_s * 1000)

    def _shared(self, *names: str) -> list[str]:
        return [f"{self.prefix}{name}" for name in names]

    def _key(self, number: int) -> str:
        return f"{self.prefix}slot:{self.name}:{number}"


def new_holder() -> str:
    """A name for one tenure, never used before or again."""
    return secrets.token_hex(12)


def slots_of(name: str, instances: int) -> Slots:
    config = settings()
    return Slots(_client(config), store.key_prefix(config), name, instances, config.lease_ttl_s)


@cache
def _client(config: Settings) -> redis.Redis:
    """Apart from the process's other one: a lease must be renewed in time, or it is lost."""
    endpoints.ensure_embedded(config)
    return store.connect(endpoints.redis_url(config), config, timeout_s=config.lease_ttl_s / 4)
