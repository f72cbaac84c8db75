from __future__ import annotations

import pytest

from tests.unit.web.client.conftest import Answer, Ask, Server
from web.client import Client

WHO = {
    "user": {"id": "u-1", "email": "ann@example.com", "app_id": "default"},
    "roles": ["user"],
    "expires_at": "2026-11-22T22:00:00Z",
    "csrf_token": "c-secret",
}


def test_after_signing_in_the_client_asks_as_that_user(server: Server, ask: Ask) -> None:
    server.answers(Answer(201, WHO | {"access_token": "a-secret"}), Answer(200, WHO))
    ask.of(server.url)("sign_in", "ann@example.com", "correct horse")
    assert ask("session").user.email == "ann@example.com"
    assert "Authorization" not in server.received[0].headers
    assert server.received[1].headers["Authorization"] == "Bearer a-secret"


def test_secrets_are_not_shown(server: Server, ask: Ask) -> None:
    server.answers(Answer(201, WHO | {"access_token": "a-secret"}))
    session = ask("sign_in", "ann@example.com", "correct horse")
    assert session.access_token == "a-secret"
    assert "secret" not in repr(session)
    assert "pk_" not in repr(ask.client)


def test_a_socket_token_names_its_device(server: Server, ask: Ask) -> None:
    server.answers(Answer(201, {"token": "t-secret", "expires_at": "2026-11-22T22:00:00Z"}))
    token = ask("socket_token", "phone", ttl_s=60)
    assert (server.received[0].target, server.received[0].body) == (
        "/session/tokens",
        {"device_id": "phone", "ttl_s": 60},
    )
    assert "secret" not in repr(token)


def test_a_socket_tokens_scope_goes_as_it_is(server: Server, ask: Ask) -> None:
    server.answers(Answer(201, {"token": "t-secret", "expires_at": "2026-11-22T22:00:00Z"}))
    ask("socket_token", scope={"rooms": ["lobby"], "publish": False})
    assert server.received[0].body == {"scope": {"rooms": ["lobby"], "publish": False}}


def test_a_device_is_revoked_by_its_name(server: Server, ask: Ask) -> None:
    server.answers(Answer(204))
    assert ask("revoke_device", "phone:1") is None
    assert (server.received[0].method, server.received[0].target) == ("DELETE", "/session/devices/phone%3A1")


@pytest.mark.parametrize("address", ["", "127.0.0.1:8000", "ftp://example.org", "http://", "/jobs"])
def test_an_address_that_is_none_is_refused_at_once(address: str) -> None:
    with pytest.raises(ValueError, match="is not an address like"):
        Client(address)


@pytest.mark.parametrize("timeout_s", [0, -1])
def test_no_time_at_all_is_refused_at_once(timeout_s: float) -> None:
    with pytest.raises(ValueError, match="timeout_s"):
        Client("http://localhost:8000", timeout_s=timeout_s)


def test_an_address_may_have_a_path(server: Server, ask: Ask) -> None:
    server.answers(Answer(200, {"status": "ok"}))
    ask.of(f"{server.url}/platform/")("health")
    assert server.received[0].target == "/platform/health"
