from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, request

from platform.accounts import Account, RecentAnswers
from web import identity
from web.identity import COOKIE, Caller, caller_from, identify, require_caller
from web.problems import Problem
from web.scope import Scope
from web.tokens import BadToken, Purpose, RefusedAccount, RevokedDevice, session_claims, sign, token_claims

ANN = Account("a0000000-0000-4000-8000-000000000001", "ann@example.com", "operator", "shop")
KEY = "pk_" + "k" * 10 + "_" + "k" * 43
CLAIMS_TTL_S = 600


@pytest.fixture(autouse=True)
def accounts(settings_env: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> dict[str, Account]:
    """Stands in for the database: accounts by id."""
    settings_env(secret_keys="s" * 40, session_ttl_s=CLAIMS_TTL_S)
    known = {ANN.id: ANN}
    monkeypatch.setattr(identity, "_recent", RecentAnswers(5.0, 10))
    monkeypatch.setattr(identity, "find_account", known.get)
    monkeypatch.setattr(identity, "find_by_key", {KEY: ANN}.get)
    return known


@pytest.fixture
def revoked(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], int]:
    """Stands in for the record store: when devices were revoked. What was asked may be answered for ever."""
    times: dict[tuple[str, str], int] = {}
    monkeypatch.setattr(identity, "_recent_devices", RecentAnswers(5.0, 10))
    monkeypatch.setattr(identity.revocations, "device_revoked_at", lambda *device: times.get(device))
    return times


def token_of(device_id: str | None = None, **more: Any) -> str:
    return sign(Purpose.TOKEN, token_claims(ANN, device_id=device_id, **more))


def ask(role: str | None = None, tokens: bool = False, **context: Any) -> Caller | None:
    """What the application sees of a request."""
    with Flask("test").test_request_context(**context):
        if role is None:
            return identify(request, tokens=tokens)
        return require_caller(request, role, tokens=tokens)


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}


def cookie(value: str) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={value}"}


def test_a_request_without_a_credential_is_nobodys() -> None:
    assert ask() is None


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer   ", "Basic YTpi", "nonsense"])
def test_a_header_without_a_bearer_counts_as_none(header: str) -> None:
    assert ask(headers={"Authorization": header}) is None


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_key_is_recognised_whatever_the_case_of_the_scheme(scheme: str) -> None:
    caller = ask(headers={"Authorization": f"{scheme} {KEY}"})
    assert caller == Caller(ANN.id, ANN.email, "operator", "shop", via="key", key_id="k" * 10)


def test_each_credential_says_how_it_was_recognised() -> None:
    claims = session_claims(ANN)
    by_access = ask(headers=bearer(sign(Purpose.ACCESS, claims)))
    by_cookie = ask(headers=cookie(sign(Purpose.SESSION, claims)))
    by_token = ask(headers=bearer(sign(Purpose.TOKEN, claims)), tokens=True)
    assert by_access is not None
    assert by_cookie is not None
    assert by_token is not None
    assert [by_access.via, by_cookie.via, by_token.via] == ["access", "session", "token"]
    assert {c.session_id for c in (by_access, by_cookie, by_token)} == {claims.session_id}
    assert [by_access.csrf_token, by_cookie.csrf_token, by_token.csrf_token] == [None, claims.csrf_token, None]


def test_a_bearer_counts_before_the_cookie_and_needs_no_csrf_token(accounts: dict[str, Account]) -> None:
    bob = Account("b0000000-0000-4000-8000-000000000002", "bob@example.com", "user", "shop")
    accounts[bob.id] = bob
    headers = bearer(sign(Purpose.ACCESS, session_claims(bob))) | cookie(sign(Purpose.SESSION, session_claims(ANN)))
    caller = ask(headers=headers, method="POST")
    assert caller is not None
    assert caller.email == "bob@example.com"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_by_cookie_needs_no_csrf_token(method: str) -> None:
    assert ask(headers=cookie(sign(Purpose.SESSION, session_claims(ANN))), method=method) is not None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PURGE"])
def test_anything_else_by_cookie_needs_it(method: str) -> None:
    claims = session_claims(ANN)
    headers = cookie(sign(Purpose.SESSION, claims))
    with pytest.raises(Problem) as caught:
        ask(headers=headers, method=method)
    assert caught.value.status == 403
    assert ask(headers=headers | {"X-CSRF-Token": claims.csrf_token}, method=method) is not None


def test_a_session_without_a_csrf_token_cannot_write_with_an_empty_header() -> None:
    claims = session_claims(ANN)
    forged = type(claims)(**{**vars(claims), "csrf_token": ""})
    with pytest.raises(Problem):
        ask(headers=cookie(sign(Purpose.SESSION, forged)) | {"X-CSRF-Token": ""}, method="POST")


def test_a_socket_token_is_admitted_only_where_asked_for() -> None:
    token = sign(Purpose.TOKEN, session_claims(ANN))
    assert ask(query_string={"token": token}, tokens=True) is not None
    assert ask(query_string={"token": token}) is None
    with pytest.raises(Problem) as caught:
        ask(headers=bearer(token))
    assert caught.value.status == 401


def test_nobody_is_401_with_the_challenge() -> None:
    with pytest.raises(Problem) as caught:
        ask("user")
    assert (caught.value.status, caught.value.headers) == (401, {"WWW-Authenticate": "Bearer"})


def test_too_little_a_role_is_403_and_names_both() -> None:
    assert ask("operator", headers=bearer(KEY)) is not None
    with pytest.raises(Problem, match=r"needs the role admin; ann@example\.com is operator") as caught:
        ask("admin", headers=bearer(KEY))
    assert caught.value.status == 403


def test_no_message_quotes_the_credential() -> None:
    for credential in ("pk_secret", "secret.secret.secret"):
        with pytest.raises(BadToken) as caught:
            caller_from(credential, tokens=True)
        assert "secret" not in str(caught.value)


def test_an_account_that_is_gone_is_refused_within_five_seconds(
    accounts: dict[str, Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(identity, "_recent", RecentAnswers(identity.RECENT_TTL_S, 10, clock=lambda: now[0]))
    token = sign(Purpose.ACCESS, session_claims(ANN))
    caller_from(token)
    accounts.clear()
    now[0] = 4.9
    caller_from(token)
    now[0] = 5.0
    with pytest.raises(RefusedAccount):
        caller_from(token)


def test_a_tokens_device_is_refused_once_it_was_revoked_later_than_the_token_knows(
    revoked: dict[tuple[str, str], int],
) -> None:
    before, after = token_of("phone"), token_of("phone", device_revoked_at=1000)
    revoked[ANN.id, "phone"] = 1000
    with pytest.raises(RevokedDevice, match="socket token is of a device that was revoked"):
        caller_from(before, tokens=True)
    assert caller_from(after, tokens=True).device_revoked_at == 1000
    assert caller_from(token_of("tablet"), tokens=True).device_id == "tablet"


def test_a_revoked_device_is_noticed_within_five_seconds(
    revoked: dict[tuple[str, str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(identity, "_recent_devices", RecentAnswers(identity.RECENT_TTL_S, 10, clock=lambda: now[0]))
    token = token_of("phone")
    caller_from(token, tokens=True)
    revoked[ANN.id, "phone"] = 1000
    now[0] = 4.9
    caller_from(token, tokens=True)
    now[0] = 5.0
    with pytest.raises(RevokedDevice):
        caller_from(token, tokens=True)


def test_a_token_without_a_device_asks_nobody(no_record_store: None) -> None:
    assert caller_from(token_of(), tokens=True).device_id is None


def test_a_credential_knows_what_would_revoke_it(revoked: dict[tuple[str, str], int]) -> None:
    assert caller_from(KEY).revocable_as == [f"user:{ANN.id}", f"key:{'k' * 10}"]
    assert caller_from(token_of("a:b"), tokens=True).revocable_as == [f"user:{ANN.id}", f"device:{ANN.id}:a:b"]
    assert caller_from(token_of(), tokens=True).revocable_as == [f"user:{ANN.id}"]


def test_a_scope_reaches_the_caller_and_without_one_everything_is_allowed() -> None:
    scope = Scope(models=("task",), publish=False)
    assert caller_from(token_of(scope=scope), tokens=True).scope == scope
    for credential in (KEY, token_of(), sign(Purpose.ACCESS, session_claims(ANN))):
        assert caller_from(credential, tokens=True).scope == Scope.EVERYTHING


def test_a_caller_shows_no_csrf_token_when_printed() -> None:
    claims = session_claims(ANN)
    caller = ask(headers=cookie(sign(Purpose.SESSION, claims)))
    assert claims.csrf_token not in repr(caller)
