"""Ids of many jobs: made from a key and each one's place, so that none has to be kept and all can be made again."""

from __future__ import annotations

import hashlib
import secrets

MOST = 2**32


class Ids:
    """The ids of a key, by their place from 0 on: UUIDs of version 8 (RFC 9562, 5.8), ascending.

    90 bits are the key's, so that two keys never share one. That they ascend makes the record store put them into its
    sorted sets at half the price of random ones.
    """

    def __init__(self, key: str):
        digits = hashlib.sha256(key.encode()).hexdigest()
        variant = "89ab"[int(digits[30], 16) % 4]
        self._stem = f"{digits[:8]}-{digits[8:12]}-8{digits[12:15]}-{variant}{digits[15:18]}-{digits[18:22]}"

    def __getitem__(self, place: int) -> str:
        return f"{self._stem}{place:08x}"


def new_key() -> str:
    """One nobody else has."""
    return secrets.token_urlsafe(16)
