"""Real servers, spoilt one way at a time."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from platform.audit import valkey as checks
from platform.audit.servers import Place, Server
from platform.audit.subject import Subject
from tests import processes
from tests.integration.audit.conftest import PASSWORD, url_of, user_of
from tests.waiting import eventually

New = Callable[..., Subject]
Start = Callable[..., redis.Redis]


def all_of(subject: Subject) -> dict[str, str]:
    return {found.code: found.severity.value for check in checks.CHECKS for found in check(subject)}


def _is_let_in(url: str, open_ones: ExitStack) -> bool:
    try:
        open_ones.enter_context(redis.Redis.from_url(url, single_connection_client=True))
    except redis.ConnectionError:
        return False
    return True


def on(new_subject: New, url: str) -> Subject:
    return new_subject(broker_url=url, redis_url=url)


def test_the_embedded_server_is_silent(new_subject: New) -> None:
    assert all_of(new_subject()) == {}


def test_a_server_that_persists_nothing_is_an_error(new_subject: New, configured: Callable[..., None]) -> None:
    configured(appendonly="no")
    assert all_of(new_subject()) == {"persistence-off": "error"}


def test_snapshots_alone_are_a_warning(new_subject: New, configured: Callable[..., None]) -> None:
    configured(appendonly="no", save="3600 1")
    assert all_of(new_subject()) == {"snapshots-only": "warning"}


def test_a_file_left_to_the_system_is_a_warning(new_subject: New, configured: Callable[..., None]) -> None:
    configured(appendfsync="no")
    assert all_of(new_subject()) == {"append-only-file-not-synced": "warning"}


def test_a_server_that_could_not_write_its_file_is_an_error(new_subject: New, valkey: Start, tmp_path: Path) -> None:
    client = valkey("--appendonly", "yes")
    folder = Path(str(client.config_get("dir")["dir"]))
    shutil.rmtree(folder)
    client.bgsave()
    eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
    assert all_of(on(new_subject, url_of(client)))["persistence-failing"] == "error"


def test_eviction_is_an_error_once_memory_is_limited(new_subject: New, configured: Callable[..., None]) -> None:
    configured(maxmemory_policy="allkeys-lru")
    assert all_of(new_subject()) == {"eviction-prepared": "note"}
    configured(maxmemory=10**9)
    assert all_of(new_subject()) == {"eviction": "error"}


def test_keys_that_were_thrown_away_are_an_error(new_subject: New, valkey: Start) -> None:
    client = valkey("--appendonly", "yes", "--maxmemory-policy", "allkeys-random")
    client.mset({f"k{number}": "x" * 10_000 for number in range(100)})
    client.config_set("maxmemory", client.info("memory")["used_memory"])
    eventually(lambda: client.set("one-more", "x" * 10_000) and client.info("stats")["evicted_keys"] > 0)
    assert all_of(on(new_subject, url_of(client)))["keys-evicted"] == "error"


@pytest.mark.parametrize(("room", "severity"), [(1.15, "warning"), (1.02, "error")])
def test_a_server_short_of_memory_is_found(new_subject: New, valkey: Start, room: float, severity: str) -> None:
    client = valkey("--appendonly", "yes")
    client.mset({f"k{number}": "x" * 100_000 for number in range(200)})
    client.config_set("maxmemory", int(client.info("memory")["used_memory"] * room))
    assert all_of(on(new_subject, url_of(client)))["memory-full"] == severity


def test_a_server_that_refused_connections_is_found(new_subject: New, valkey: Start) -> None:
    client = valkey("--appendonly", "yes", "--maxclients", "3")
    with ExitStack() as open_ones:
        assert not all(_is_let_in(url_of(client), open_ones) for _ in range(5))
    client.config_set("maxclients", 1000)
    assert all_of(on(new_subject, url_of(client))) == {"connections-refused": "warning"}


def test_most_connections_in_use_is_a_warning(new_subject: New, valkey: Start) -> None:
    client = valkey("--appendonly", "yes", "--maxclients", "10")
    others = [redis.Redis.from_url(url_of(client), single_connection_client=True) for _ in range(7)]
    assert all_of(on(new_subject, url_of(client))) == {"many-connections": "warning"}
    for other in others:
        other.close()


def test_a_server_that_closes_idle_connections_is_found(new_subject: New, configured: Callable[..., None]) -> None:
    configured(timeout=30, tcp_keepalive=0)
    assert all_of(new_subject()) == {"idle-connections-closed": "warning", "server-without-keepalive": "note"}


def test_a_cluster_is_an_error(new_subject: New, valkey: Start) -> None:
    bus = str(processes.free_port())  # its own is 10 000 above the port, where there may be none
    client = valkey("--appendonly", "yes", "--cluster-enabled", "yes", "--cluster-port", bus)
    assert all_of(on(new_subject, url_of(client)))["cluster"] == "error"


def test_a_replica_is_an_error(new_subject: New, valkey: Start) -> None:
    client = valkey("--appendonly", "yes", "--masterauth", PASSWORD)
    client.replicaof("127.0.0.1", processes.free_port())
    found = all_of(on(new_subject, url_of(client)))
    assert (found["is-replica"], found["writes-refused"]) == ("error", "error")


def test_a_lonely_primary_in_production_is_a_note(new_subject: New) -> None:
    secrets = {"secret_keys": "x" * 32, "flower_password": "x" * 12}
    assert all_of(new_subject(env="production", **secrets)) == {"no-replica": "note"}


def test_a_user_without_rights_is_told_what_is_missing(new_subject: New, embedded: redis.Redis) -> None:
    with user_of(embedded, "-config") as url:
        assert all_of(on(new_subject, url)) == {"server-hides-its-settings": "note"}
    with user_of(embedded, "-@write") as url:
        assert all_of(on(new_subject, url)) == {"writes-refused": "error"}


def test_persistence_is_judged_without_the_right_to_see_settings(new_subject: New, valkey: Start) -> None:
    client = valkey()
    with user_of(client, "-config") as url:
        assert all_of(on(new_subject, url))["no-append-only-file"] == "warning"


def test_renamed_commands_are_an_error(new_subject: New, valkey: Start) -> None:
    client = valkey("--appendonly", "yes", "--rename-command", "HRANDFIELD", "")
    assert all_of(on(new_subject, url_of(client))) == {"commands-missing": "error"}


def test_a_wrong_password_is_an_error_that_does_not_quote_it(new_subject: New, embedded: redis.Redis) -> None:
    url = url_of(embedded, password="hunter2")
    (found,) = checks.away(on(new_subject, url))
    assert found.code == "broker-away"
    assert "hunter2" not in str(found)


def test_a_server_that_is_not_there_is_an_error_at_once(new_subject: New) -> None:
    began = time.monotonic()
    url = f"redis://127.0.0.1:{processes.free_port()}/0"
    assert all_of(on(new_subject, url)) == {"broker-away": "error"}
    assert time.monotonic() - began < 3


def test_broker_and_record_store_are_told_apart(new_subject: New, redis_url: str, valkey: Start) -> None:
    nowhere = f"redis://127.0.0.1:{processes.free_port()}/0"
    broker = url_of(valkey())
    assert all_of(new_subject(broker_url=broker, redis_url=nowhere)) == {
        "persistence-off": "error",
        "record-store-away": "error",
    }


def test_a_slow_server_is_found(new_subject: New, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "FAR_S", 0.0)
    assert all_of(new_subject()) == {"server-far": "warning"}


def _server(info: dict[str, Any], settings: dict[str, str]) -> Server:
    """What a server answers that cannot be started here: too old, or open to every network."""
    return Server(Place("the broker", "redis://x"), redis.Redis(), info, settings, [], "", 0.0, 0.0)


def test_servers_too_old_or_open_are_errors(new_subject: New) -> None:
    subject = new_subject()
    old = _server({"redis_version": "5.0.14", "aof_enabled": 1}, {"protected-mode": "no", "bind": "* -::*"})
    subject.__dict__["looked_at"] = [old]
    assert all_of(subject) == {"server-too-old": "error", "server-open": "error"}
    subject.__dict__["looked_at"] = [_server({"redis_version": "7.2.4", "aof_enabled": 1}, {"protected-mode": "yes"})]
    assert all_of(subject) == {}
