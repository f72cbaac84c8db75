"""``/session``: sign in with a password or a bearer, see who one is, sign out; and tokens for sockets and SSE.

Nothing is stored but which devices were revoked: signing out takes the cookie from this browser, and a copy of it
holds until it expires or the user is disabled. Attempts to sign in are counted in each process by itself, per address
and e-mail.
"""

from __future__ import annotations

import math
import re
import time
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any

from flask import g, request
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError
from werkzeug.http import dump_cookie

from platform.accounts import Account, revocations, verify_password
from platform.settings import settings
from web.identity import CHALLENGE, COOKIE, Caller, bearer, caller_from
from web.problems import Problem
from web.routing import Routes
from web.schemas.body import Body
from web.schemas.scope import ScopeRequest
from web.scope import Scope
from web.tokens import BadToken, Claims, Purpose, session_claims, sign, token_claims

ATTEMPTS = parse("10/minute")
MIN_TOKEN_TTL_S = 1
DEVICE_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")

routes = Routes(tag="Sessions")


class _AtMostTheSetting:
    """The longest life allowed is a setting, so the schema can name it only when it is asked for."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(core) | {"maximum": settings().token_ttl_s}


def _at_most_the_setting(ttl_s: int) -> int:
    if ttl_s > settings().token_ttl_s:
        limit = {"limit": settings().token_ttl_s}
        raise PydanticCustomError("less_than_equal", "Input should be less than or equal to {limit}", limit)
    return ttl_s


def _whole(value: object) -> object:
    """JSON Schema calls 60.0 an integer; strict pydantic does not."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Life = Annotated[
    int,
    Field(ge=MIN_TOKEN_TTL_S),
    AfterValidator(_at_most_the_setting),
    BeforeValidator(_whole),
    _AtMostTheSetting(),
]


class Login(Body):
    """An e-mail address and its password."""

    email: str = Field(max_length=254)
    password: str = Field(max_length=1024)


class UserAnswer(BaseModel):
    id: str
    email: str
    app_id: str


class SessionAnswer(BaseModel):
    """Who is asking. An API key never expires; only a cookie has a CSRF token."""

    user: UserAnswer
    roles: list[str]
    expires_at: datetime | None
    csrf_token: str | None


class SignedInAnswer(SessionAnswer):
    """A new session; ``access_token`` serves as a bearer where there are no cookies."""

    access_token: str


class TokenRequest(Body):
    """Which device the token is for, for how many seconds, and for what; without ``ttl_s`` as long as allowed."""

    device_id: str | None = Field(default=None, pattern=f"^{DEVICE_ID.pattern}$")
    ttl_s: Life | None = None
    scope: ScopeRequest | None = None


class TokenAnswer(BaseModel):
    token: str
    expires_at: datetime


@routes.post(
    "/session",
    body=Login,
    body_optional=True,
    auth=None,
    answers={201: SignedInAnswer},
    problems=(401, 429, 503),
    summary="Sign in",
)
def sign_in(body: Login | None) -> Any:
    """With e-mail and password; or with a bearer and no body, and then for as long as the bearer holds at most."""
    claims = session_claims(_by_password(body)) if body is not None else _by_bearer()
    known = _who(claims.account, _time(claims.expires_at), claims.csrf_token)
    answer = SignedInAnswer(**known, access_token=sign(Purpose.ACCESS, claims))
    return answer, 201, _set_cookie(sign(Purpose.SESSION, claims), int(claims.expires_at) - claims.issued_at)


@routes.get("/session", answers={200: SessionAnswer}, summary="Who am I")
def show() -> Any:
    """With a cookie the answer has its CSRF token again."""
    return SessionAnswer(**_who(g.caller.account, g.caller.expires_at, g.caller.csrf_token))


@routes.delete("/session", answers={204: None}, summary="Sign out")
def sign_out() -> Any:
    """Clears the cookie of this browser."""
    return None, 204, _set_cookie("", 0)


@routes.post(
    "/session/tokens",
    body=TokenRequest,
    body_optional=True,
    answers={201: TokenAnswer},
    repeatable=False,
    summary="Make a token for sockets and SSE",
)
def make_token(body: TokenRequest | None) -> Any:
    """Short-lived and good for nothing else; it never outlives the credential it was made with."""
    wanted, caller = body or TokenRequest(), g.caller
    claims = token_claims(
        caller.account,
        wanted.ttl_s,
        _latest_expiry(caller),
        caller.session_id,
        wanted.device_id,
        _revoked_at(caller, wanted.device_id),
        _scope(wanted.scope),
        caller.key_id,
    )
    token = TokenAnswer(token=sign(Purpose.TOKEN, claims), expires_at=_time(claims.expires_at))
    return token, 201


@routes.delete("/session/devices/<device_id>", answers={204: None}, problems=(404,), summary="End a device's tokens")
def revoke_device(device_id: str) -> Any:
    """Its sockets close within 5 seconds. Tokens made for it afterwards hold, so a device may come back."""
    if not DEVICE_ID.fullmatch(device_id):
        raise Problem(404, "no device has such an id: it has 1 to 128 letters, digits, and _ . : -")
    revocations.revoke(revocations.of_device(g.caller.account_id, device_id))
    return None, 204


def _revoked_at(caller: Caller, device_id: str | None) -> int:
    """Asked for at once, not remembered: a token is to hold that is made just after its device was revoked."""
    return (revocations.device_revoked_at(caller.account_id, device_id) or 0) if device_id is not None else 0


def _scope(wanted: ScopeRequest | None) -> Scope | None:
    return None if wanted is None else Scope.read(wanted.model_dump(exclude_none=True))


def _by_password(login: Login) -> Account:
    """Counted before the hash is computed, so that many attempts at once cannot pass; a success starts anew."""
    attempt = (request.remote_addr or "", login.email.strip().lower())
    if not _limiter().hit(ATTEMPTS, *attempt):
        wait_s = max(1, math.ceil(_limiter().get_window_stats(ATTEMPTS, *attempt).reset_time - time.time()))
        detail = f"too many attempts to sign in; try again in {wait_s} s"
        raise Problem(429, detail, headers={"Retry-After": str(wait_s)})
    account = verify_password(login.email, login.password)
    if account is None:
        raise Problem(401, "the e-mail address or the password is wrong", headers=CHALLENGE)
    _limiter().clear(ATTEMPTS, *attempt)
    return account


def _by_bearer() -> Claims:
    credential = bearer(request)
    if credential is None:
        detail = 'send {"email": …, "password": …}, or Authorization: Bearer <API key or access token>'
        raise Problem(401, detail, headers=CHALLENGE)
    try:
        caller = caller_from(credential)
    except BadToken as exc:
        raise Problem(401, str(exc), headers=CHALLENGE) from exc
    return session_claims(caller.account, _latest_expiry(caller), caller.key_id)


def _latest_expiry(caller: Caller) -> int | None:
    """What is made with a credential ends with it at the latest."""
    return int(caller.expires_at.timestamp()) if caller.expires_at else None


@cache
def _limiter() -> MovingWindowRateLimiter:
    """Made on first use: its storage starts a timer, which must not happen before a fork or gevent's patches."""
    return MovingWindowRateLimiter(MemoryStorage())


def _who(account: Account, expires_at: datetime | None, csrf_token: str | None) -> dict[str, Any]:
    user = UserAnswer(id=account.id, email=account.email, app_id=account.app_id)
    return {"user": user, "roles": account.roles, "expires_at": expires_at, "csrf_token": csrf_token}


def _set_cookie(value: str, max_age_s: int) -> dict[str, str]:
    """Headers that give the browser its cookie, out of reach of scripts; with 0 seconds it is taken away."""
    secure = settings().is_production
    cookie = dump_cookie(COOKIE, value, max_age=max_age_s, path="/", secure=secure, httponly=True, samesite="Lax")
    return {"Set-Cookie": cookie}


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
