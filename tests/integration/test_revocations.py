"""What was taken back is kept in the real record store, and heard of by whoever listens or asks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from subprocess import CompletedProcess

import pytest
import redis
from argon2 import PasswordHasher

from platform import store
from platform.accounts import add_key, add_user, disable_user, passwords, public_id_of, revocations, revoke_key
from platform.accounts.revocations import channel, device_revoked_at, of_device, revoke, since
from platform.errors import BrokerUnavailable
from platform.settings import settings
from tests.databases import database as database  # noqa: PLC0414
from tests.processes import free_port
from tests.waiting import eventually

EMAIL, PASSWORD = "ann@example.com", "correct horse"


@pytest.fixture(autouse=True)
def client(
    embedded: redis.Redis, redis_url: str, settings_env: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[redis.Redis]:
    settings_env(token_ttl_s=100, session_ttl_s=200)
    with redis.Redis.from_url(redis_url, decode_responses=True) as made:
        monkeypatch.setattr(store, "client", lambda: made)
        yield made


def test_what_was_revoked_is_told_with_its_time() -> None:
    before, _ = since(0)
    revoke("user:ann", "key:k")
    revoke("device:ann:phone")
    now, found = since(0)
    assert set(found) == {"user:ann", "key:k", "device:ann:phone"}
    assert before <= found["user:ann"] == found["key:k"] <= found["device:ann:phone"] <= now


def test_who_asks_on_from_the_time_of_the_last_answer_misses_nothing_and_soon_hears_no_more() -> None:
    revoke("user:ann")
    now, _ = since(0)
    revoke("user:bob")
    later, found = since(now)
    assert "user:bob" in found
    assert eventually(lambda: since(later + 1)[0] > later)
    assert since(later + 1)[1] == {}


def test_more_than_one_answer_holds_comes_with_the_next_oldest_first(
    monkeypatch: pytest.MonkeyPatch, client: redis.Redis
) -> None:
    client.zadd(channel(), {f"user:{n}": 1000 + n for n in range(5)})
    monkeypatch.setattr(revocations, "MOST_AT_ONCE", 2)
    at, heard = 0, []
    for _ in range(5):
        at, found = since(at)
        heard += [member for member in found if member not in heard]
    assert heard == [f"user:{n}" for n in range(5)]
    assert at > 1_000_000


def test_they_are_published_together_as_json(client: redis.Redis) -> None:
    with client.pubsub(ignore_subscribe_messages=True) as listening:
        listening.subscribe(channel())
        listening.get_message(timeout=1)
        revoke("user:ann", "device:ann:a:b")
        message = eventually(lambda: listening.get_message(timeout=1))
    assert (channel(), json.loads(message["data"])) == ("{platform}:revocations", ["user:ann", "device:ann:a:b"])


def test_nothing_is_kept_longer_than_what_was_made_before_may_hold(client: redis.Redis) -> None:
    now, _ = since(0)
    longest_ms = (200 + revocations.MARGIN_S) * 1000
    client.zadd(channel(), {"user:old": now - longest_ms - 1, "user:young": now - longest_ms + 60_000})
    revoke("user:ann")
    assert set(since(0)[1]) == {"user:young", "user:ann"}
    assert longest_ms - 60_000 < client.pttl(channel()) <= longest_ms


def test_a_device_has_the_time_of_its_latest_revocation_which_never_goes_back(client: redis.Redis) -> None:
    assert device_revoked_at("ann", "phone") is None
    revoke(of_device("ann", "phone"))
    first = device_revoked_at("ann", "phone")
    assert first == since(0)[1]["device:ann:phone"]
    assert device_revoked_at("ann", "tablet") is None
    assert device_revoked_at("bob", "phone") is None
    client.zadd(channel(), {"device:ann:phone": first + 3_600_000})  # by a clock that was ahead
    revoke(of_device("ann", "phone"))
    assert device_revoked_at("ann", "phone") == first + 3_600_000


def test_a_client_that_reads_bytes_is_told_the_same(embedded: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "client", lambda: embedded)
    revoke(of_device("ann", "phone"))
    assert since(0)[1] == {"device:ann:phone": device_revoked_at("ann", "phone")}


def test_without_a_store_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with store.connect(f"redis://127.0.0.1:{free_port()}/0", settings(), timeout_s=1) as nobody:
        monkeypatch.setattr(store, "client", lambda: nobody)
        for call in (lambda: revoke("user:ann"), lambda: since(0), lambda: device_revoked_at("ann", "phone")):
            with pytest.raises(BrokerUnavailable):
                call()


def test_disabling_a_user_and_revoking_a_key_are_heard_of_once_they_are_so(
    database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    ann = add_user(EMAIL, "user", PASSWORD)
    key = public_id_of(add_key(EMAIL))
    revoke_key(key)
    assert set(since(0)[1]) == {f"key:{key}"}
    disable_user(EMAIL)
    assert set(since(0)[1]) == {f"key:{key}", f"user:{ann.id}"}
    assert caplog.records == []


def test_a_command_warns_that_open_sockets_go_on_and_has_done_its_work(
    celery: Callable[..., CompletedProcess[str]],
) -> None:
    away = {"redis_url": f"redis://127.0.0.1:{free_port()}/0"}
    celery("users", "add", EMAIL, "--password-stdin", stdin=PASSWORD)
    key = public_id_of(celery("keys", "add", EMAIL, "--quiet").stdout)
    revoked = celery("keys", "revoke", key, **away)
    disabled = celery("users", "disable", EMAIL, **away)
    for done, said in ((revoked, f"revoked {key}\n"), (disabled, f"disabled {EMAIL}\n")):
        assert (done.returncode, done.stdout) == (0, said)
        assert "the sockets could not be told; those that are open may live until their token ends" in done.stderr
    assert celery("users", "disable", EMAIL).stderr == ""
    assert json.loads(celery("users", "ls", "--json").stdout)[0]["disabled_at"] is not None
