"""Signed values: the session cookie, access tokens, and short-lived tokens for sockets and SSE.

Each is ``payload.time.signature``, readable by anyone and made only with the signing keys: HMAC-SHA256, the
newest key signs, older ones still verify. A value holds for the purpose it was signed for and no other.
Nothing is stored, so a single value cannot be called back before it expires; disabling its account ends it, and
revoking a device ends the socket tokens that name it.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer

from platform.accounts import Account
from platform.credentials import signing_keys
from platform.errors import PlatformError
from platform.settings import Settings, settings
from web.scope import Scope


class Purpose(StrEnum):
    """What a value was signed for; the salt that keeps one kind from passing for another."""

    SESSION = "platform.session"
    ACCESS = "platform.access"
    TOKEN = "platform.token"  # noqa: S105

    @property
    def kind(self) -> str:
        return {"platform.session": "session cookie", "platform.access": "access token"}.get(self, "socket token")


@dataclass(frozen=True)
class Claims:
    """What a value says; times in seconds since 1970, whole ones but for the end of a socket token.

    ``session_id`` is one per sign-in and goes on to the values made from it. ``csrf_token`` is empty outside the
    cookie, ``device_id`` is None outside socket tokens. ``device_revoked_at`` is when that device had last been revoked
    before this was made, in ms by the store's clock (0: never); once it is revoked later than that, this is over. So
    no two clocks are compared. Without a ``scope`` it allows all that its account may do. ``key_id`` names
    the API key it was made with, and ends with, if it was.
    """

    account_id: str
    email: str
    role: str
    app_id: str
    issued_at: int
    expires_at: float
    session_id: str
    csrf_token: str = ""
    device_id: str | None = None
    device_revoked_at: int = 0
    scope: Scope | None = None
    key_id: str | None = None

    @property
    def account(self) -> Account:
        """As it was when this was signed."""
        return Account(self.account_id, self.email, self.role, self.app_id)


class BadToken(PlatformError):
    """A credential that does not hold; the message never quotes it. ``kind`` says in words which one it is."""

    def __init__(self, kind: str, reason: str):
        super().__init__(kind, reason)
        self.kind = kind
        self.reason = reason

    def __str__(self) -> str:
        return f"the {self.kind} {self.reason}"


class UntrustedToken(BadToken):
    """Forged, damaged, or signed for another purpose or with a key no longer in use."""

    def __init__(self, kind: str):
        super().__init__(kind, "has no valid signature; sign in again")
        self.args = (kind,)


class ExpiredToken(BadToken):
    """Ours, but past its time. ``expired_at`` is aware, in UTC."""

    def __init__(self, kind: str, expired_at: datetime):
        super().__init__(kind, f"expired at {expired_at:%Y-%m-%dT%H:%M:%SZ}; sign in again")
        self.args = (kind, expired_at)
        self.expired_at = expired_at


class RefusedAccount(BadToken):
    """Signed and in time, but its account is disabled or gone."""

    def __init__(self, kind: str):
        super().__init__(kind, "belongs to no active user; sign in as another one")
        self.args = (kind,)


class RevokedKey(BadToken):
    """Signed and in time, but the API key it was made with was revoked."""

    def __init__(self, kind: str):
        super().__init__(kind, "was made with an API key that is revoked; use another one")
        self.args = (kind,)


class RevokedDevice(BadToken):
    """Signed and in time, but the device it names was revoked after it was made."""

    def __init__(self, kind: str):
        super().__init__(kind, "is of a device that was revoked; make a new one")
        self.args = (kind,)


def session_claims(account: Account, latest_expiry: int | None = None, key_id: str | None = None) -> Claims:
    """Claims of a new sign-in, with its own CSRF token; ``latest_expiry`` may only shorten its life."""
    claims = _claims(account, settings().session_ttl_s, latest_expiry)
    return replace(claims, csrf_token=secrets.token_urlsafe(32), key_id=key_id)


def token_claims(
    account: Account,
    ttl_s: int | None = None,
    latest_expiry: int | None = None,
    session_id: str | None = None,
    device_id: str | None = None,
    device_revoked_at: int = 0,
    scope: Scope | None = None,
    key_id: str | None = None,
) -> Claims:
    """Claims of a socket token, by default for as long as the settings allow; part of a session if one is named.

    A shorter life ends to the millisecond: of one second, what is left of the one under way may be nothing.
    """
    claims = _claims(account, settings().token_ttl_s, latest_expiry)
    return replace(
        claims,
        expires_at=min(round(clock() + ttl_s, 3), claims.expires_at) if ttl_s else claims.expires_at,
        session_id=session_id or claims.session_id,
        device_id=device_id,
        device_revoked_at=device_revoked_at,
        scope=scope,
        key_id=key_id,
    )


def _claims(account: Account, ttl_s: int, latest_expiry: int | None) -> Claims:
    now = int(clock())
    return Claims(
        account_id=account.id,
        email=account.email,
        role=account.role,
        app_id=account.app_id,
        issued_at=now,
        expires_at=now + ttl_s if latest_expiry is None else min(now + ttl_s, latest_expiry),
        session_id=secrets.token_urlsafe(16),
    )


def sign(purpose: Purpose, claims: Claims) -> str:
    """The signed value; the CSRF token goes into the session cookie alone."""
    kept = claims if purpose is Purpose.SESSION else replace(claims, csrf_token="")
    return _serializer(purpose, settings()).dumps(_said(kept))


def read(purpose: Purpose, value: str) -> Claims:
    """What a value says, if it holds now.

    Its own expiry counts, and so does the longest life the settings allow its purpose, from the time of signing.
    Raises UntrustedToken, ExpiredToken, BadToken.
    """
    current = settings()
    longest_s = current.token_ttl_s if purpose is Purpose.TOKEN else current.session_ttl_s
    try:
        # Without max_age: it would refuse what a machine with a clock one second ahead has just signed.
        payload, signed_at = _serializer(purpose, current).loads(value, return_timestamp=True)
        claims = _understood(payload)
    except (BadData, UnicodeError) as exc:
        raise UntrustedToken(purpose.kind) from exc
    except TypeError as exc:
        raise BadToken(purpose.kind, "was made by another release; sign in again") from exc
    ends_at = min(claims.expires_at, int(signed_at.timestamp()) + longest_s)
    if ends_at <= clock():
        raise ExpiredToken(purpose.kind, datetime.fromtimestamp(ends_at, UTC))
    return replace(claims, expires_at=ends_at)


def _said(claims: Claims) -> dict[str, Any]:
    """Without what is as by default, so that a release that does not know a member yet reads the value all the same."""
    said = asdict(claims) | {"scope": claims.scope and claims.scope.as_dict()}
    return {name: value for name, value in said.items() if value not in ("", 0, None)}


def _understood(payload: Any) -> Claims:
    """Raises TypeError for a payload of another release."""
    said = {**payload}
    scope = said.pop("scope", None)
    return Claims(**said, scope=None if scope is None else Scope.read(scope))


def clock() -> float:
    return time.time()


class _Signer(TimestampSigner):
    def get_timestamp(self) -> int:
        return int(clock())


@lru_cache(maxsize=16)
def _serializer(purpose: Purpose, current: Settings) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        signing_keys(current)[::-1],  # itsdangerous signs with the last one
        salt=purpose.value,
        signer=_Signer,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
