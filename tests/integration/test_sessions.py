"""Signing in, asking and signing out over HTTP, with the real application and a real database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from subprocess import CompletedProcess
from typing import Any

import pytest
import redis
from argon2 import PasswordHasher
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from platform import store
from platform.accounts import RecentAnswers, add_key, add_user, disable_user, keys, passwords, revoke_key
from platform.errors import BrokerUnavailable
from tests.databases import database as database  # noqa: PLC0414
from tests.processes import Web
from web import identity, sessions, tokens
from web.app import create_app
from web.identity import COOKIE
from web.scope import Scope
from web.tokens import Purpose, session_claims, sign

EMAIL, PASSWORD = "ann@example.com", "correct horse"
OLD, NEW = "o" * 40, "n" * 40
EPOCH = 1_800_000_000


@dataclass
class Clock:
    """Every clock that sessions and keys look at, moved by hand."""

    now: float = EPOCH

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(tokens, "clock", clock)
    for module in (identity, keys):
        monkeypatch.setattr(module, "_recent", RecentAnswers(module.RECENT_TTL_S, 100, clock=clock))
    monkeypatch.setattr(identity, "_recent_devices", RecentAnswers(identity.RECENT_TTL_S, 100, clock=clock))
    return clock


@pytest.fixture(autouse=True)
def _record_store(embedded: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's, whatever folder this test's settings name; revocations are kept in it."""
    monkeypatch.setattr(store, "client", lambda: embedded)


@pytest.fixture
def client(database: str, settings_env: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    settings_env(secret_keys=OLD, session_ttl_s=600, token_ttl_s=300)
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    sessions._limiter.cache_clear()
    add_user(EMAIL, "operator", PASSWORD, "shop")
    return create_app().test_client()


def sign_in(client: FlaskClient, email: str = EMAIL, password: str = PASSWORD) -> TestResponse:
    return client.post("/session", json={"email": email, "password": password})


def json_of(answer: TestResponse) -> Any:
    return answer.json


def cookie_of(client: FlaskClient) -> str:
    cookie = client.get_cookie(COOKIE)
    assert cookie is not None
    return cookie.value


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


def assert_unauthorised(answer: TestResponse, says: str = "") -> None:
    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert says in json_of(answer)["detail"]


def test_signing_in_tells_who_and_gives_a_cookie_out_of_reach_of_scripts(client: FlaskClient) -> None:
    answer = sign_in(client, "Ann@Example.com")
    body = json_of(answer)
    assert answer.status_code == 201
    assert set(body) == {"user", "roles", "expires_at", "csrf_token", "access_token"}
    assert (body["user"]["email"], body["user"]["app_id"], body["roles"]) == (EMAIL, "shop", ["user", "operator"])
    assert datetime.fromisoformat(body["expires_at"]).timestamp() == EPOCH + 600
    assert answer.headers["Cache-Control"] == "no-store"
    attributes = answer.headers["Set-Cookie"].split("; ")[1:]
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"} <= set(attributes)
    assert "Secure" not in attributes


def test_in_production_the_cookie_travels_encrypted_only(
    client: FlaskClient, settings_env: Callable[..., None]
) -> None:
    settings_env(env="production", flower_password="f" * 12)
    assert "Secure" in sign_in(client).headers["Set-Cookie"].split("; ")


def test_the_cookie_says_who_i_am_with_the_same_csrf_token(client: FlaskClient) -> None:
    signed_in = json_of(sign_in(client))
    answer = client.get("/session")
    del signed_in["access_token"]
    assert (answer.status_code, json_of(answer)) == (200, signed_in)


def test_without_a_credential_i_am_nobody(client: FlaskClient) -> None:
    assert_unauthorised(client.get("/session"), "Authorization: Bearer")


@pytest.mark.parametrize(("email", "password"), [(EMAIL, "wrong password"), ("bob@example.com", PASSWORD), ("x", "y")])
def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(
    client: FlaskClient, email: str, password: str
) -> None:
    answer = sign_in(client, email, password)
    assert_unauthorised(answer, "the e-mail address or the password is wrong")
    assert "Set-Cookie" not in answer.headers


def test_the_access_token_is_a_bearer(client: FlaskClient) -> None:
    token = json_of(sign_in(client))["access_token"]
    client.delete_cookie(COOKIE)
    answer = json_of(client.get("/session", headers=bearer(token)))
    assert (answer["user"]["email"], answer["csrf_token"]) == (EMAIL, None)
    assert client.post("/session/tokens", headers=bearer(token)).status_code == 201


def test_an_api_key_is_a_bearer_that_never_expires(client: FlaskClient, clock: Clock) -> None:
    key = add_key(EMAIL)
    clock.now += 10_000_000
    answer = json_of(client.get("/session", headers=bearer(key)))
    assert (answer["user"]["email"], answer["expires_at"], answer["csrf_token"]) == (EMAIL, None, None)


def test_a_key_signs_in_without_a_body(client: FlaskClient) -> None:
    answer = client.post("/session", headers=bearer(add_key(EMAIL)))
    assert (answer.status_code, json_of(answer)["user"]["email"]) == (201, EMAIL)
    assert json_of(client.get("/session"))["csrf_token"] == json_of(answer)["csrf_token"]


def test_an_access_token_cannot_prolong_itself(client: FlaskClient, clock: Clock) -> None:
    token = json_of(sign_in(client))["access_token"]
    clock.now += 500
    answer = json_of(client.post("/session", headers=bearer(token)))
    assert datetime.fromisoformat(answer["expires_at"]).timestamp() == EPOCH + 600


@pytest.mark.parametrize("credential", ["nonsense", "pk_nonsense", "a.b.c", "pk_" + "a" * 10 + "_" + "a" * 43])
def test_a_wrong_bearer_is_refused_everywhere(client: FlaskClient, credential: str) -> None:
    sign_in(client)
    assert_unauthorised(client.get("/session", headers=bearer(credential)))
    assert_unauthorised(client.post("/session", headers=bearer(credential)))


def test_signing_in_with_nothing_says_what_to_send(client: FlaskClient) -> None:
    assert_unauthorised(client.post("/session"), "password")


def test_a_stale_cookie_does_not_keep_one_from_signing_in(client: FlaskClient) -> None:
    client.set_cookie(COOKIE, "stale")
    assert sign_in(client).status_code == 201
    assert client.get("/session").status_code == 200


@pytest.mark.parametrize("damage", ["tampered", "truncated", "expired", "other purpose", "other key"])
def test_a_cookie_that_does_not_hold_is_401(
    client: FlaskClient, damage: str, clock: Clock, settings_env: Callable[..., None]
) -> None:
    signed_in = json_of(sign_in(client))
    cookie = cookie_of(client)
    assert client.get("/session").status_code == 200
    if damage == "tampered":
        cookie = cookie[:20] + ("A" if cookie[20] != "A" else "B") + cookie[21:]
    elif damage == "truncated":
        cookie = cookie[:-1]
    elif damage == "expired":
        clock.now += 600
    elif damage == "other purpose":
        cookie = signed_in["access_token"]
    else:
        settings_env(secret_keys=NEW)
    client.set_cookie(COOKIE, cookie)
    assert_unauthorised(client.get("/session"), "sign in again")


def test_after_a_key_rotation_sessions_go_on_and_the_newest_key_signs(
    client: FlaskClient, settings_env: Callable[..., None]
) -> None:
    sign_in(client)
    before = cookie_of(client)
    settings_env(secret_keys=f"{NEW},{OLD}")
    assert client.get("/session").status_code == 200
    sign_in(client)
    settings_env(secret_keys=NEW)
    assert client.get("/session").status_code == 200
    client.set_cookie(COOKIE, before)
    assert_unauthorised(client.get("/session"))


@pytest.mark.parametrize("token", [None, "", "wrong", "\u00e9", "another session's"])
@pytest.mark.parametrize(("method", "path"), [("POST", "/session/tokens"), ("DELETE", "/session")])
def test_a_write_by_cookie_without_its_csrf_token_is_refused(
    client: FlaskClient, method: str, path: str, token: str | None
) -> None:
    if token == "another session's":
        token = json_of(sign_in(client))["csrf_token"]
    sign_in(client)
    answer = client.open(path, method=method, headers={} if token is None else {"X-CSRF-Token": token})
    assert answer.status_code == 403
    assert "csrf_token of GET /session in the header X-CSRF-Token" in json_of(answer)["detail"]
    assert client.get("/session").status_code == 200


def test_signing_out_clears_the_cookie(client: FlaskClient) -> None:
    csrf = json_of(sign_in(client))["csrf_token"]
    answer = client.delete("/session", headers={"X-CSRF-Token": csrf})
    assert (answer.status_code, answer.data) == (204, b"")
    assert client.get_cookie(COOKIE) is None
    assert_unauthorised(client.get("/session"))


def test_a_disabled_users_credentials_all_end_within_five_seconds(client: FlaskClient, clock: Clock) -> None:
    access_token = json_of(sign_in(client))["access_token"]
    credentials = [bearer(add_key(EMAIL)), bearer(access_token), {}]
    assert [client.get("/session", headers=headers).status_code for headers in credentials] == [200, 200, 200]
    disable_user(EMAIL)
    clock.now += 5
    for headers in credentials:
        assert_unauthorised(
            client.get("/session", headers=headers), "disabled" if headers == credentials[0] else "active"
        )
    assert_unauthorised(sign_in(client))


def test_a_revoked_key_is_refused(client: FlaskClient) -> None:
    key = add_key(EMAIL)
    assert client.get("/session", headers=bearer(key)).status_code == 200
    revoke_key(key.split("_")[1])
    assert_unauthorised(client.get("/session", headers=bearer(key)), "revoked")


def test_a_socket_token_says_its_device_and_ends_when_asked(client: FlaskClient) -> None:
    csrf = {"X-CSRF-Token": json_of(sign_in(client))["csrf_token"]}
    answer = client.post("/session/tokens", json={"device_id": "phone-1", "ttl_s": 10.0}, headers=csrf)
    assert answer.status_code == 201
    assert set(json_of(answer)) == {"token", "expires_at"}
    caller = identity.caller_from(json_of(answer)["token"], tokens=True)
    assert (caller.email, caller.device_id, caller.via) == (EMAIL, "phone-1", "token")
    assert caller.expires_at == datetime.fromisoformat(json_of(answer)["expires_at"])
    assert caller.expires_at.timestamp() == EPOCH + 10


def test_a_socket_token_may_hold_for_one_second(client: FlaskClient, clock: Clock) -> None:
    clock.now = EPOCH + 0.9  # not to its end: a tenth of a second later nobody could have used it
    made = json_of(client.post("/session/tokens", json={"ttl_s": 1}, headers=bearer(add_key(EMAIL))))
    assert datetime.fromisoformat(made["expires_at"]).timestamp() == EPOCH + 1.9
    clock.now = EPOCH + 1.8
    assert identity.caller_from(made["token"], tokens=True).email == EMAIL
    clock.now = EPOCH + 1.9
    with pytest.raises(tokens.ExpiredToken):
        identity.caller_from(made["token"], tokens=True)


def test_a_socket_token_opens_nothing_else(client: FlaskClient) -> None:
    csrf = {"X-CSRF-Token": json_of(sign_in(client))["csrf_token"]}
    token = json_of(client.post("/session/tokens", headers=csrf))["token"]
    assert_unauthorised(client.get("/session", headers=bearer(token)))
    assert_unauthorised(client.post("/session", headers=bearer(token)))


def token_for(client: FlaskClient, **body: object) -> str:
    """A socket token made with a new API key."""
    answer = client.post("/session/tokens", json=body, headers=bearer(add_key(EMAIL)))
    assert answer.status_code == 201, answer.json
    return str(json_of(answer)["token"])


def test_a_socket_tokens_scope_is_what_its_bearer_may_do(client: FlaskClient) -> None:
    said = {"models": ["task"], "filters": {"task": {"assignee": "ann"}}, "rooms": ["team-*"], "publish": False}
    scope = identity.caller_from(token_for(client, scope=said), tokens=True).scope
    assert (scope.allows_model("task"), scope.allows_model("note"), scope.allows_publish) == (True, False, False)
    assert scope.filter_for("task") == {"assignee": "ann"}
    assert (scope.allows_room("team-red"), scope.allows_room("lobby"), scope.allows_jobs) == (True, False, True)
    for unrestricted in ({}, {"scope": {}}, {"scope": None}):
        assert identity.caller_from(token_for(client, **unrestricted), tokens=True).scope == Scope.EVERYTHING


def test_a_token_cannot_make_itself_a_wider_one(client: FlaskClient) -> None:
    token = token_for(client, scope={"rooms": ["lobby"]})
    assert_unauthorised(client.post("/session/tokens", headers=bearer(token)))
    assert_unauthorised(client.post(f"/session/tokens?token={token}"))


def test_a_revoked_devices_tokens_are_refused_and_those_made_afterwards_hold(client: FlaskClient, clock: Clock) -> None:
    before, other = token_for(client, device_id="phone"), token_for(client, device_id="tablet")
    assert identity.caller_from(before, tokens=True).device_id == "phone"
    answer = client.delete("/session/devices/phone", headers=bearer(add_key(EMAIL)))
    assert (answer.status_code, answer.data) == (204, b"")
    after = token_for(client, device_id="phone")
    clock.now += 5
    with pytest.raises(tokens.RevokedDevice):
        identity.caller_from(before, tokens=True)
    assert identity.caller_from(after, tokens=True).device_id == "phone"
    assert identity.caller_from(other, tokens=True).device_id == "tablet"


def test_nobody_revokes_anothers_device(client: FlaskClient) -> None:
    token = token_for(client, device_id="phone")
    add_user("eve@example.com", "admin", PASSWORD)
    assert client.delete("/session/devices/phone", headers=bearer(add_key("eve@example.com"))).status_code == 204
    assert identity.caller_from(token, tokens=True).device_id == "phone"


def test_revoking_by_cookie_needs_the_csrf_token(client: FlaskClient) -> None:
    csrf = {"X-CSRF-Token": json_of(sign_in(client))["csrf_token"]}
    assert client.delete("/session/devices/phone").status_code == 403
    assert client.delete("/session/devices/phone", headers=csrf).status_code == 204
    client.delete_cookie(COOKIE)
    assert_unauthorised(client.delete("/session/devices/phone"))


@pytest.mark.parametrize("device_id", ["a b", "\u00e9", "x" * 129, "a%0Ab"])
def test_what_cannot_be_a_device_is_404(client: FlaskClient, device_id: str) -> None:
    answer = client.delete(f"/session/devices/{device_id}", headers=bearer(add_key(EMAIL)))
    assert (answer.status_code, "no device" in json_of(answer)["detail"]) == (404, True)


def test_without_the_record_store_devices_are_neither_revoked_nor_trusted(
    client: FlaskClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then no socket opens anyway; tokens that name no device are made as ever."""
    token, key = token_for(client, device_id="phone"), bearer(add_key(EMAIL))

    def away() -> redis.Redis:
        raise redis.ConnectionError("nobody is there")

    monkeypatch.setattr(store, "client", away)
    assert client.delete("/session/devices/phone", headers=key).status_code == 503
    assert client.post("/session/tokens", json={"device_id": "phone"}, headers=key).status_code == 503
    assert client.post("/session/tokens", headers=key).status_code == 201
    with pytest.raises(BrokerUnavailable):
        identity.caller_from(token, tokens=True)


def test_a_socket_token_lasts_as_long_as_allowed_but_no_longer_than_its_session(
    client: FlaskClient, clock: Clock
) -> None:
    csrf = {"X-CSRF-Token": json_of(sign_in(client))["csrf_token"]}
    ends = []
    for passed in (0, 400):
        clock.now = EPOCH + passed
        ends.append(json_of(client.post("/session/tokens", headers=csrf))["expires_at"])
    assert [datetime.fromisoformat(end).timestamp() - EPOCH for end in ends] == [300, 600]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ttl_s": 0}, "ttl_s"),
        ({"ttl_s": 301}, "ttl_s"),
        ({"ttl_s": "60"}, "ttl_s"),
        ({"ttl_s": 60.5}, "ttl_s"),
        ({"device_id": "a b"}, "device_id"),
        ({"device": "a"}, "device"),
        ({"scope": "all"}, "scope"),
    ],
)
def test_a_token_request_that_breaks_a_rule_is_422(client: FlaskClient, body: dict[str, object], field: str) -> None:
    answer = client.post("/session/tokens", json=body, headers=bearer(add_key(EMAIL)))
    assert (answer.status_code, json_of(answer)["errors"][0]["loc"]) == (422, ["body", field])


@pytest.mark.parametrize(
    ("scope", "loc"),
    [
        ({"room": ["lobby"]}, ["room"]),
        ({"publish": 1}, ["publish"]),
        ({"rooms": ["lobby"] * 101}, ["rooms"]),
        ({"filters": {"task": {"n": {"$near": 1}}}}, ["filters", "task"]),
    ],
)
def test_a_scope_that_breaks_a_rule_is_422_and_says_where(
    client: FlaskClient, scope: dict[str, object], loc: list[str]
) -> None:
    answer = client.post("/session/tokens", json={"scope": scope}, headers=bearer(add_key(EMAIL)))
    assert (answer.status_code, json_of(answer)["errors"][0]["loc"]) == (422, ["body", "scope", *loc])


@pytest.mark.parametrize(
    ("body", "status"),
    [("{", 400), ("null", 422), ("[]", 422), ('{"email": "a@x"}', 422), ('{"email": 1, "password": "x"}', 422)],
)
def test_a_sign_in_that_cannot_be_read_or_does_not_fit(client: FlaskClient, body: str, status: int) -> None:
    assert client.post("/session", data=body, content_type="application/json").status_code == status


def test_the_eleventh_attempt_in_a_minute_waits_even_with_the_right_password(client: FlaskClient) -> None:
    assert [sign_in(client, password="wrong password").status_code for _ in range(10)] == [401] * 10
    answer = sign_in(client, " ANN@example.com")
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert sign_in(client, "bob@example.com").status_code == 401


def test_another_address_is_not_locked_out(client: FlaskClient) -> None:
    for _ in range(11):
        sign_in(client, password="wrong password")
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    body = {"email": EMAIL, "password": PASSWORD}
    assert client.post("/session", json=body, environ_overrides=elsewhere).status_code == 201


def test_who_signs_in_rightly_is_never_limited(client: FlaskClient) -> None:
    for _ in range(3):
        assert [sign_in(client, password="wrong password").status_code for _ in range(9)] == [401] * 9
        assert sign_in(client).status_code == 201


def test_a_forged_cookie_of_a_user_that_never_was_is_refused(client: FlaskClient) -> None:
    account = add_user("eve@example.com", "user", PASSWORD)
    claims = session_claims(account)
    gone = {**vars(claims), "account_id": "00000000-0000-0000-0000-000000000000"}
    client.set_cookie(COOKIE, sign(Purpose.SESSION, tokens.Claims(**gone)))
    assert_unauthorised(client.get("/session"), "no active user")


def test_the_role_is_the_accounts_of_now_not_the_one_signed(client: FlaskClient) -> None:
    account = add_user("eve@example.com", "user", PASSWORD)
    claims = tokens.Claims(**{**vars(session_claims(account)), "role": "admin"})
    answer = client.get("/session", headers=bearer(sign(Purpose.ACCESS, claims)))
    assert json_of(answer)["roles"] == ["user"]


def test_the_longest_token_life_in_the_description_is_the_setting(client: FlaskClient) -> None:
    schemas = json_of(client.get("/openapi.json"))["components"]["schemas"]
    assert schemas["TokenRequest"]["properties"]["ttl_s"]["anyOf"][0] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 300,
    }


def test_users_and_keys_of_the_terminal_open_the_real_front_door(
    web: Callable[..., Web], celery: Callable[..., CompletedProcess[str]]
) -> None:
    """Two gunicorn workers on gevent: what one signed the other reads."""
    assert celery("users", "add", EMAIL, "--role", "admin", "--password-stdin", stdin=PASSWORD).returncode == 0
    key = celery("keys", "add", EMAIL, "--quiet").stdout.strip()
    http = web(web_workers=2).http

    assert http.get("/session", headers=bearer(key)).json()["roles"] == ["user", "operator", "admin"]
    assert http.post("/session", json={"email": EMAIL, "password": "wrong password"}).status_code == 401
    signed_in = http.post("/session", json={"email": EMAIL, "password": PASSWORD})
    assert signed_in.status_code == 201
    csrf = {"X-CSRF-Token": signed_in.json()["csrf_token"]}
    for _ in range(10):
        assert http.get("/session", headers={"Connection": "close"}).status_code == 200
    assert http.post("/session/tokens", json={"ttl_s": 10}, headers=csrf).status_code == 201
    assert http.delete("/session", headers=csrf).status_code == 204
    assert http.get("/session").status_code == 401
