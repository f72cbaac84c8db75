"""What was taken back lately: users, keys and devices, so that sockets opened with them close within seconds.

A member is ``user:<account id>``, ``key:<public id>`` or ``device:<account id>:<device id>``. It is kept in the record
store for as long as anything made before may still hold. For users and keys the database has the last word: this only
makes it heard at once. Devices are known here alone.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from platform import store
from platform.errors import BrokerUnavailable
from platform.leases.scripts import Script, run
from platform.settings import settings

log = logging.getLogger(__name__)

MARGIN_S = 60
#: Of one answer, some 100 KB.
MOST_AT_ONCE = 1_000

# ARGV: how long to keep them in ms, the members as JSON for whoever listens, the members. A member's time never goes
# back, whatever the clock does, because a device's tokens are measured by it. Returns now, in ms.
REVOKE = Script("""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now - ARGV[1]))
for i = 3, #ARGV do redis.call('ZADD', KEYS[1], 'GT', string.format('%.0f', now), ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PUBLISH', KEYS[1], ARGV[2])
return now
""")


def of_user(account_id: str) -> str:
    return f"user:{account_id}"


def of_key(public_id: str) -> str:
    return f"key:{public_id}"


def of_device(account_id: str, device_id: str) -> str:
    return f"device:{account_id}:{device_id}"


def channel() -> str:
    """The pub/sub channel that carries a JSON list of members when they are revoked; also the key they are kept in."""
    return f"{store.key_prefix()}revocations"


def revoke(*members: str) -> None:
    """Remember and publish that these hold no longer; repeating it makes it later. Raises BrokerUnavailable."""
    config = settings()
    keep_ms = (max(config.token_ttl_s, config.session_ttl_s) + MARGIN_S) * 1000
    arguments = [keep_ms, json.dumps(members), *members]
    store.insist(lambda: run(store.client(), REVOKE, keys=[channel()], args=arguments), patience_s=0)


def make_heard(*members: str) -> None:
    """``revoke`` of what the database says already; where the store is away, that is a warning in the log.

    A program that has set up no logging, such as a command, prints it on standard error.
    """
    try:
        revoke(*members)
    except BrokerUnavailable as exc:
        log.warning(
            "%s: done, but the sockets could not be told; those that are open may live until their token ends. "
            "Repeat it when the record store is back (%s)",
            ", ".join(members),
            exc,
        )


def since(ms: int) -> tuple[int, dict[str, int]]:
    """What was revoked at ``ms`` or later, each with its time, oldest first; and what to ask with next time.

    Times are in ms by the store's clock; 0 asks for all that is kept. At most ``MOST_AT_ONCE`` at a time: the rest
    comes when asked again. What was revoked in the very millisecond of the asking may come twice. Raises
    BrokerUnavailable.
    """
    now, found = store.insist(lambda: _since(ms), patience_s=0)
    members = {member.decode() if isinstance(member, bytes) else member: int(at) for member, at in found}
    return int(found[-1][1]) if len(found) == MOST_AT_ONCE else now, members


def device_revoked_at(account_id: str, device_id: str) -> int | None:
    """When the device was last revoked, in ms by the store's clock; None if it was not, or so long ago that it matters
    to nothing any more. Raises BrokerUnavailable.
    """
    member = of_device(account_id, device_id)
    at: Any = store.insist(lambda: store.client().zscore(channel(), member), patience_s=0)
    return None if at is None else int(at)


def _since(ms: int) -> tuple[int, list[tuple[Any, float]]]:
    """The time is asked for first: what is revoked in between is told twice rather than never."""
    with store.client().pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.zrangebyscore(channel(), ms, "+inf", start=0, num=MOST_AT_ONCE, withscores=True)
        (seconds, microseconds), found = pipe.execute()
    return int(seconds) * 1000 + int(microseconds) // 1000, found
