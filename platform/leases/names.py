"""The keys of leases. A delivery tag begins with its incarnation, so that it alone tells where it is recorded."""

from __future__ import annotations

import os
import secrets
import socket

SEPARATOR = "/"
#: The list of what was no message, each with its queue.
UNDECODABLE = "undecodable"


def incarnation() -> str:
    """A name for this run of a worker, never used before or again."""
    return f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(6)}"


#: In the environment, because a pool's children need not be forks.
OWN_VARIABLE = "WORKER_INCARNATION"


def own() -> str:
    """The incarnation this process belongs to, a worker's child as well; empty outside a worker."""
    return os.environ.get(OWN_VARIABLE, "")


def become(name: str) -> None:
    """Be that incarnation from now on; called by a worker before it starts its pool."""
    os.environ[OWN_VARIABLE] = name


def incarnation_of(tag: str) -> str | None:
    """Whose delivery a tag is; None for a tag of another transport."""
    name, separator, _ = tag.rpartition(SEPARATOR)
    return name if separator else None


def heartbeat(prefix: str, name: str) -> str:
    return f"{prefix}lease:{name}"


def held(prefix: str, name: str) -> str:
    return f"{prefix}held:{name}"


def everybody(prefix: str) -> str:
    return f"{prefix}leases"


def paused(prefix: str) -> str:
    """The hash of paused queues: beside the queues, not among them, where a queue could have its name."""
    return f"{prefix.removesuffix('queue:')}queues:paused"
