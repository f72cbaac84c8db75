from __future__ import annotations

import pickle
from base64 import urlsafe_b64decode
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from itsdangerous import URLSafeTimedSerializer

from platform.accounts import Account
from web import tokens
from web.scope import Scope
from web.tokens import (
    BadToken,
    Claims,
    ExpiredToken,
    Purpose,
    RefusedAccount,
    RevokedDevice,
    UntrustedToken,
    read,
    session_claims,
    sign,
    token_claims,
)

ANN = Account("a0000000-0000-4000-8000-000000000001", "ann@example.com", "operator", "shop")
OLD, NEW = "o" * 40, "n" * 40
EPOCH = 1_800_000_000


@pytest.fixture(autouse=True)
def now(settings_env: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, in seconds; one key, sessions of 100 s, tokens of 50 s."""
    settings_env(secret_keys=OLD, session_ttl_s=100, token_ttl_s=50)
    now = [float(EPOCH)]
    monkeypatch.setattr(tokens, "clock", lambda: now[0])
    return now


def test_what_was_signed_is_read_again() -> None:
    claims = session_claims(ANN)
    assert read(Purpose.SESSION, sign(Purpose.SESSION, claims)) == claims
    assert claims.account == ANN
    assert (claims.issued_at, claims.expires_at) == (EPOCH, EPOCH + 100)


def test_every_sign_in_has_its_own_session_and_csrf_token() -> None:
    first, second = session_claims(ANN), session_claims(ANN)
    assert first.session_id != second.session_id
    assert first.csrf_token != second.csrf_token
    assert len(urlsafe_b64decode(first.csrf_token + "=")) == 32


def test_a_latest_expiry_only_shortens() -> None:
    assert session_claims(ANN, EPOCH + 30).expires_at == EPOCH + 30
    assert session_claims(ANN, EPOCH + 1000).expires_at == EPOCH + 100


@pytest.mark.parametrize("purpose", [Purpose.ACCESS, Purpose.TOKEN])
def test_the_csrf_token_stays_in_the_cookie(purpose: Purpose) -> None:
    assert read(purpose, sign(purpose, session_claims(ANN))).csrf_token == ""


@pytest.mark.parametrize("signed_for", Purpose)
@pytest.mark.parametrize("read_as", Purpose)
def test_one_purpose_never_passes_for_another(signed_for: Purpose, read_as: Purpose) -> None:
    value = sign(signed_for, session_claims(ANN))
    if read_as is signed_for:
        assert read(read_as, value).account == ANN
    else:
        with pytest.raises(UntrustedToken):
            read(read_as, value)


def test_no_character_can_be_changed_or_left_out() -> None:
    value = sign(Purpose.SESSION, session_claims(ANN))
    # The last character of base64 holds spare bits; changing only those gives the same signature.
    for at in range(len(value) - 1):
        other = "A" if value[at] != "A" else "B"
        for damaged in (value[:at] + other + value[at + 1 :], value[:at] + value[at + 1 :], value[:at]):
            with pytest.raises(UntrustedToken):
                read(Purpose.SESSION, damaged)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(st.text())
def test_any_other_text_is_untrusted(text: str) -> None:
    with pytest.raises(UntrustedToken):
        read(Purpose.ACCESS, text)


def test_a_lone_surrogate_from_a_json_frame_is_untrusted() -> None:
    with pytest.raises(UntrustedToken):
        read(Purpose.TOKEN, "\ud800.a.b")


def test_a_value_signed_by_somebody_elses_key_is_untrusted(settings_env: Callable[..., None]) -> None:
    value = sign(Purpose.SESSION, session_claims(ANN))
    settings_env(secret_keys=NEW)
    with pytest.raises(UntrustedToken):
        read(Purpose.SESSION, value)


def test_after_a_rotation_the_old_key_still_verifies_and_the_new_one_signs(settings_env: Callable[..., None]) -> None:
    before = sign(Purpose.SESSION, session_claims(ANN))
    settings_env(secret_keys=f"{NEW},{OLD}")
    after = sign(Purpose.SESSION, session_claims(ANN))
    assert read(Purpose.SESSION, before).account == read(Purpose.SESSION, after).account == ANN

    settings_env(secret_keys=NEW)
    assert read(Purpose.SESSION, after).account == ANN
    with pytest.raises(UntrustedToken):
        read(Purpose.SESSION, before)


def test_a_value_holds_until_its_own_expiry(now: list[float]) -> None:
    value = sign(Purpose.SESSION, session_claims(ANN, EPOCH + 30))
    now[0] = EPOCH + 29.9
    assert read(Purpose.SESSION, value).expires_at == EPOCH + 30
    now[0] = EPOCH + 30
    with pytest.raises(ExpiredToken, match="expired at 2027-01-15T08:00:30Z; sign in again") as caught:
        read(Purpose.SESSION, value)
    assert caught.value.expired_at == datetime.fromtimestamp(EPOCH + 30, UTC)


@pytest.mark.parametrize(("purpose", "longest_s"), [(Purpose.SESSION, 100), (Purpose.ACCESS, 100), (Purpose.TOKEN, 50)])
def test_no_value_outlives_the_setting_whatever_it_says(purpose: Purpose, longest_s: int, now: list[float]) -> None:
    claims = Claims(**{**vars(session_claims(ANN)), "expires_at": EPOCH + 100_000})
    value = sign(purpose, claims)
    now[0] = EPOCH + longest_s - 1
    assert read(purpose, value).expires_at == EPOCH + longest_s
    now[0] = EPOCH + longest_s
    with pytest.raises(ExpiredToken):
        read(purpose, value)


def test_shortening_the_setting_ends_what_is_older(settings_env: Callable[..., None], now: list[float]) -> None:
    value = sign(Purpose.SESSION, session_claims(ANN))
    now[0] = EPOCH + 70
    read(Purpose.SESSION, value)
    settings_env(session_ttl_s=60)
    with pytest.raises(ExpiredToken):
        read(Purpose.SESSION, value)


def test_a_machine_whose_clock_is_behind_takes_what_another_just_signed(now: list[float]) -> None:
    value = sign(Purpose.SESSION, session_claims(ANN))
    now[0] = EPOCH - 2
    assert read(Purpose.SESSION, value).account == ANN


def test_a_payload_of_another_release_is_refused() -> None:
    serializer = tokens._serializer(Purpose.SESSION, tokens.settings())
    for payload in ({"account_id": "1"}, {**vars(session_claims(ANN)), "new": 1}, ["list"], None):
        with pytest.raises(BadToken, match="another release"):
            read(Purpose.SESSION, serializer.dumps(payload))


def test_a_scope_travels_in_a_token_as_it_was() -> None:
    scope = Scope(models=("task",), filters={"task": {"n": {"$gt": 1.5}}}, rooms=(), publish=False, calls=("Chat/*",))
    claims = token_claims(ANN, device_id="phone", device_revoked_at=5, scope=scope)
    assert read(Purpose.TOKEN, sign(Purpose.TOKEN, claims)) == claims
    narrows_nothing = token_claims(ANN, scope=Scope())
    assert read(Purpose.TOKEN, sign(Purpose.TOKEN, narrows_nothing)).scope == Scope.EVERYTHING


def test_a_scope_of_a_later_release_is_refused_rather_than_ignored() -> None:
    serializer = tokens._serializer(Purpose.TOKEN, tokens.settings())
    for scope in ({"batches": False}, "task", ["task"]):
        with pytest.raises(BadToken, match="another release"):
            read(Purpose.TOKEN, serializer.dumps({**vars(token_claims(ANN)), "scope": scope}))


def test_the_release_before_and_this_one_read_each_others_values() -> None:
    """While both run, as in a rolling restart: it knew neither scopes nor the revocations of devices."""
    serializer = tokens._serializer(Purpose.SESSION, tokens.settings())
    claims = session_claims(ANN)
    former = {name: value for name, value in vars(claims).items() if name not in ("scope", "device_revoked_at")}
    assert read(Purpose.SESSION, serializer.dumps(former)) == claims
    assert set(serializer.loads(sign(Purpose.SESSION, claims))) <= set(former)


def test_the_signature_is_sha256_and_not_the_librarys_sha1() -> None:
    value = sign(Purpose.SESSION, session_claims(ANN))
    assert len(urlsafe_b64decode(value.rpartition(".")[2] + "=")) == 32
    weak = URLSafeTimedSerializer(OLD, salt=Purpose.SESSION.value, signer_kwargs={"key_derivation": "hmac"})
    with pytest.raises(UntrustedToken):
        read(Purpose.SESSION, weak.dumps(vars(session_claims(ANN))))


@pytest.mark.parametrize(
    "error",
    [
        BadToken("access token", "is odd"),
        UntrustedToken("access token"),
        ExpiredToken("session cookie", datetime(2027, 1, 1, tzinfo=UTC)),
        RefusedAccount("socket token"),
        RevokedDevice("socket token"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_pickling_with_its_facts(error: BadToken) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
    assert isinstance(copy, BadToken)
