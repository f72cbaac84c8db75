"""Who is asking: an API key, an access token or the session cookie, checked against the accounts of now.

Nothing is kept on the server, so what a credential says is not enough: its account must still be there and
active, and its device not revoked since. These answers, with role and tenant, may be 5 s old.
"""

from __future__ import annotations

import hmac
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from flask import Request

from platform.accounts import (
    Account,
    RecentAnswers,
    find_account,
    find_by_key,
    is_active_key,
    public_id_of,
    revocations,
)
from web.problems import Problem
from web.scope import Scope
from web.tokens import BadToken, Claims, Purpose, RefusedAccount, RevokedDevice, RevokedKey, UntrustedToken, read

COOKIE = "platform_session"
CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
KEY_PREFIX = "pk_"
CHALLENGE = {"WWW-Authenticate": "Bearer"}
RECENT_TTL_S = 5.0
RECENT_MAX_ENTRIES = 10_000

Via = Literal["key", "session", "access", "token"]
_VIA: dict[Purpose, Via] = {Purpose.SESSION: "session", Purpose.ACCESS: "access", Purpose.TOKEN: "token"}
_recent: RecentAnswers[str, Account | None] = RecentAnswers(RECENT_TTL_S, RECENT_MAX_ENTRIES)
_recent_keys: RecentAnswers[str, bool] = RecentAnswers(RECENT_TTL_S, RECENT_MAX_ENTRIES)
_recent_devices: RecentAnswers[tuple[str, str], int | None] = RecentAnswers(RECENT_TTL_S, RECENT_MAX_ENTRIES)


@dataclass(frozen=True)
class Caller:
    """The account behind a request, and how it was recognised.

    ``expires_at`` (UTC) ends the credential, never for a key; ``session_id`` is the sign-in it stems from;
    ``csrf_token`` is known for the cookie only. ``key_id`` (the public id) is known for a key and what was made with
    one, ``device_id`` for a socket token that named one, and with it ``device_revoked_at``: that device's revocations
    up to then do not concern this caller (in ms by the store's clock).
    """

    account_id: str
    email: str
    role: str
    app_id: str
    via: Via
    expires_at: datetime | None = None
    session_id: str | None = None
    device_id: str | None = None
    csrf_token: str | None = field(default=None, repr=False)
    key_id: str | None = None
    device_revoked_at: int = 0
    scope: Scope = Scope.EVERYTHING

    @property
    def account(self) -> Account:
        return Account(self.account_id, self.email, self.role, self.app_id)

    @property
    def revocable_as(self) -> list[str]:
        """What may be revoked (``platform.accounts.revocations``) to end this credential."""
        key = [revocations.of_key(self.key_id)] if self.key_id else []
        device = [revocations.of_device(self.account_id, self.device_id)] if self.device_id else []
        return [revocations.of_user(self.account_id), *key, *device]

    def has_role(self, role: str) -> bool:
        return self.account.has_role(role)


def require_caller(request: Request, role: str = "user", *, tokens: bool = False) -> Caller:
    """The caller, who has the role. Raises Problem: 401 for none or a wrong one, 403 for too little.

    ``tokens`` also admits socket tokens, and ``?token=`` for clients that cannot send a header.
    """
    caller = identify(request, tokens=tokens)
    if caller is None:
        detail = "send Authorization: Bearer <API key or access token>, or sign in with POST /session"
        raise Problem(401, detail, headers=CHALLENGE)
    if not caller.has_role(role):
        raise Problem(403, f"this needs the role {role}; {caller.email} is {caller.role}")
    return caller


def identify(request: Request, *, tokens: bool = False) -> Caller | None:
    """The caller, or None if the request carries no credential; a bearer counts before the cookie.

    Raises Problem: 401 for a credential that does not hold, 403 for a write by cookie without its CSRF token.
    """
    credential = bearer(request) or (request.args.get("token") if tokens else None)
    cookie = request.cookies.get(COOKIE)
    try:
        if credential:
            return caller_from(credential, tokens=tokens)
        caller = from_cookie(cookie) if cookie else None
    except BadToken as exc:
        raise Problem(401, str(exc), headers=CHALLENGE) from exc
    if caller is not None and request.method not in SAFE_METHODS:
        check_csrf(request, caller)
    return caller


def caller_from(credential: str, *, tokens: bool = False) -> Caller:
    """Whom an API key or access token stands for; with ``tokens`` also a socket token.

    Raises BadToken, DatabaseUnavailable and, for a socket token of a device, BrokerUnavailable.
    """
    if credential.startswith(KEY_PREFIX):
        return _from_key(credential)
    if tokens:  # tried first: after a restart they come by thousands
        with suppress(UntrustedToken):
            return _from_claims(Purpose.TOKEN, credential)
    return _from_claims(Purpose.ACCESS, credential)


def from_cookie(cookie: str) -> Caller:
    """Whom the session cookie stands for. Raises BadToken, DatabaseUnavailable."""
    return _from_claims(Purpose.SESSION, cookie)


def bearer(request: Request) -> str | None:
    """The text after ``Authorization: Bearer``, if there is any."""
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    return credential.strip() or None if scheme.lower() == "bearer" else None


def _from_key(key: str) -> Caller:
    account = find_by_key(key)
    if account is None:
        raise BadToken("API key", "is wrong, revoked or of a disabled user; make one with `keys add`")
    return Caller(account.id, account.email, account.role, account.app_id, via="key", key_id=public_id_of(key))


def _from_claims(purpose: Purpose, value: str) -> Caller:
    claims = read(purpose, value)
    account = _recent.get(claims.account_id, find_account)
    if account is None:
        raise RefusedAccount(purpose.kind)
    if claims.key_id is not None and not _recent_keys.get(claims.key_id, is_active_key):
        raise RevokedKey(purpose.kind)
    if claims.device_id is not None and _device_revoked_at(claims) > claims.device_revoked_at:
        raise RevokedDevice(purpose.kind)
    return _caller(purpose, claims, account)


def _device_revoked_at(claims: Claims) -> int:
    device = (claims.account_id, claims.device_id or "")
    return _recent_devices.get(device, lambda named: revocations.device_revoked_at(*named)) or 0


def _caller(purpose: Purpose, claims: Claims, account: Account) -> Caller:
    return Caller(
        account_id=account.id,
        email=account.email,
        role=account.role,
        app_id=account.app_id,
        via=_VIA[purpose],
        expires_at=datetime.fromtimestamp(claims.expires_at, UTC),
        session_id=claims.session_id,
        device_id=claims.device_id,
        csrf_token=claims.csrf_token or None,
        key_id=claims.key_id,
        device_revoked_at=claims.device_revoked_at,
        scope=claims.scope or Scope.EVERYTHING,
    )


def check_csrf(request: Request, caller: Caller) -> None:
    sent = request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(sent.encode(), (caller.csrf_token or "").encode()) or not sent:
        raise Problem(403, f"send the csrf_token of GET /session in the header {CSRF_HEADER}")
