"""Password hashes: argon2id with the library's current parameters, about 200 ms and 64 MiB each.

Under gevent the work runs in its thread pool, so that other requests go on; at most ``AT_ONCE`` at a
time in a process, so that a burst of sign-ins cannot take its memory.
"""

from __future__ import annotations

import os
import sys
import threading
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from typing import ParamSpec, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from platform.accounts.account import WeakPassword

MIN_CHARS = 8
MAX_CHARS = 1024
AT_ONCE = 4
_hasher = PasswordHasher()

P = ParamSpec("P")
R = TypeVar("R")


def hash_password(password: str) -> str:
    """A salted hash that carries its parameters. Raises WeakPassword."""
    if not MIN_CHARS <= len(password) <= MAX_CHARS:
        raise WeakPassword(MIN_CHARS, MAX_CHARS)
    return _beside_the_loop(_hasher.hash, _as_bytes(password))


def matches(password: str, password_hash: str | None) -> bool:
    """Whether the password is the one hashed; without a hash it takes the same time and is false."""
    return _beside_the_loop(_verified, password_hash or _unmatchable(_hasher), _as_bytes(password[: MAX_CHARS + 1]))


def is_outdated(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(password_hash)


def _verified(password_hash: str, password: bytes) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def _as_bytes(password: str) -> bytes:
    """One form for the keyboards that compose an accented letter and those that do not."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


@cache
def _unmatchable(hasher: PasswordHasher) -> str:
    """A hash of nothing known with today's parameters, so that verifying it costs what a user's does."""
    salt, digest = (b64encode(os.urandom(n)).decode().rstrip("=") for n in (hasher.salt_len, hasher.hash_len))
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${digest}"


def _beside_the_loop(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    with _turns():
        monkey = sys.modules.get("gevent.monkey")
        if monkey is None or not monkey.is_module_patched("threading"):
            return work(*args, **kwargs)
        import gevent

        return gevent.get_hub().threadpool.apply(work, args, kwargs)


@cache
def _turns() -> threading.BoundedSemaphore:
    """Made on first use: gevent has patched ``threading`` by then, if it ever does."""
    return threading.BoundedSemaphore(AT_ONCE)
