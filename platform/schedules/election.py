"""Which scheduler acts: whoever holds the lease, in a term of its own.

Any number may stand. The one that acts asks again every ``RENEW_S`` seconds; if it does not for ``LEASE_TTL_S``, the
next that asks acts, in a later term. The term is the fence: every script that hands out a run looks it up, so a
scheduler that was paused, and believes it acts, does nothing when it wakes. Times are the store's, whatever clocks say.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, cast

import msgspec

from platform import store
from platform.schedules.register import Register

#: A scheduler that died is replaced this long after it last asked, and a look of another: 10 s at most.
LEASE_TTL_S = 8.0
RENEW_S = 2.0
LOOK_S = 1.0


@dataclass(frozen=True)
class Scheduler:
    """One that stands, or stood until a moment ago; ``since`` is in seconds since 1970."""

    name: str
    host: str
    pid: int
    since: float
    release: str
    acting: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Candidacy:
    """One process's standing for election; ``term`` is empty while another acts."""

    def __init__(self, register: Register, ttl_s: float = LEASE_TTL_S):
        self.register, self.ttl_s = register, ttl_s
        self.term = ""
        host, pid = socket.gethostname(), os.getpid()
        self.name = f"{host}:{pid}:{secrets.token_hex(3)}"
        self._line = msgspec.json.encode(Scheduler(self.name, host, pid, time.time(), version("celery-platform")))
        self._ask_at = 0.0

    def is_acting(self) -> bool:
        """Whether this process acts; asks when it is time to. Raises BrokerUnavailable."""
        now = time.monotonic()
        if now >= self._ask_at:
            self.term = ""  # if there is no answer
            self.term = str(self.register.call("lead", self.name, int(self.ttl_s * 1000), self._line))
            self._ask_at = now + (RENEW_S if self.term else LOOK_S)
        return bool(self.term)

    def step_down(self) -> None:
        """Forget the term: another acts, or nobody."""
        self.term, self._ask_at = "", 0.0

    def resign(self) -> None:
        """Let another act at once."""
        self.step_down()
        self.register.call("resign", self.name)


def schedulers(register: Register) -> list[Scheduler]:
    """Every scheduler heard of lately, by name. Raises BrokerUnavailable."""
    with register.client.pipeline(transaction=True) as pipe:
        pipe.hgetall(f"{register.prefix}schedulers")
        pipe.get(f"{register.prefix}schedules:acting")
        pipe.time()
        lines, term, (seconds, _) = store.insist(pipe.execute, 0)
    acting = (term or " ").split(" ", 1)[1]
    found = []
    for name, text in sorted(cast(dict[str, str], lines).items()):
        seen_ms, line = text.split(" ", 1)
        if seconds - int(seen_ms) / 1000 <= 2 * LEASE_TTL_S:
            known = msgspec.json.decode(line, type=Scheduler)
            found.append(Scheduler(**{**asdict(known), "acting": name == acting}))
    return found
