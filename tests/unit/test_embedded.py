"""The embedded Valkey, with the real server: shared, private, durable, and gone when nobody needs it."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from platform import embedded
from platform.errors import EmbeddedServerError
from tests.processes import ROOT, Program, environment
from tests.waiting import eventually


@pytest.fixture
def folder(data_dir: Path) -> Iterator[Path]:
    """A data folder whose server, if a test started one, is stopped afterwards."""
    yield data_dir
    embedded.stop(data_dir)


@pytest.fixture
def client(folder: Path) -> Iterator[redis.Redis]:
    """A client of the folder's running server."""
    with redis.Redis.from_url(embedded.ensure_running(folder).url) as connected:
        yield connected


def server_pid(client: redis.Redis) -> int:
    return int(client.info("server")["process_id"])


def serving(data_dir: Path, call: str) -> Program:
    """A process that serves the folder: ``serve`` or ``serve_until_idle`` with its arguments."""
    code = f"import tasks, pathlib, platform.embedded as e; e.{call}"
    return Program([sys.executable, "-c", code], data_dir / "serving.log", environment())


def is_answering(data_dir: Path) -> bool:
    return embedded.is_running(data_dir)


def permissions(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_child_forked_by_another_thread_keeps_no_lock(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with embedded._locked(folder):
        child = os.fork()
        if not child:
            signal.pause()
    try:
        with (folder / "endpoint.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_the_endpoint_is_chosen_once(folder: Path) -> None:
    assert embedded.endpoint(folder) == embedded.endpoint(folder)


def test_two_folders_have_different_passwords(folder: Path) -> None:
    assert embedded.endpoint(folder / "a").password != embedded.endpoint(folder / "b").password


def test_choosing_an_endpoint_starts_no_server(folder: Path) -> None:
    embedded.endpoint(folder)
    assert not embedded.is_running(folder)


def test_a_started_server_answers(folder: Path, client: redis.Redis) -> None:
    assert client.ping()
    assert embedded.is_running(folder)


def test_a_running_server_is_not_started_again(folder: Path, client: redis.Redis) -> None:
    before = server_pid(client)
    embedded.ensure_running(folder)
    assert server_pid(client) == before


def test_a_client_without_the_password_is_refused(folder: Path, client: redis.Redis) -> None:
    with (
        redis.Redis(port=embedded.endpoint(folder).port, retry=Retry(NoBackoff(), 0)) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_the_server_listens_on_loopback_only(client: redis.Redis) -> None:
    assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_only_the_owner_can_read_the_servers_files(folder: Path, client: redis.Redis) -> None:
    client.set("k", "v")
    private = folder / "valkey"
    names = ["endpoint.json", "valkey.conf", *(str(f.relative_to(private)) for f in private.glob("appendonlydir/*"))]
    assert permissions(private) == 0o700
    assert {name: permissions(private / name) for name in names} == dict.fromkeys(names, 0o600)


def test_processes_that_start_at_once_share_one_server(folder: Path) -> None:
    code = "import sys, tasks, pathlib, platform.embedded as e; print(e.ensure_running(pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", code, str(folder)]
    started = [
        subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    answers = {process.communicate(timeout=60)[0].strip() for process in started}
    assert answers == {str(embedded.endpoint(folder))}
    log = (folder / "valkey" / "valkey.log").read_text()
    assert log.count("Ready to accept connections") == 1


def test_data_survive_the_death_of_the_server(folder: Path, client: redis.Redis) -> None:
    client.set("k", "v")
    eventually(lambda: client.info("persistence")["aof_buffer_length"] == 0)
    os.kill(server_pid(client), signal.SIGKILL)
    eventually(lambda: not is_answering(folder))
    embedded.ensure_running(folder)
    assert client.get("k") == b"v"


def test_a_server_that_died_is_found_where_it_was(folder: Path, client: redis.Redis) -> None:
    before = embedded.endpoint(folder)
    os.kill(server_pid(client), signal.SIGKILL)
    eventually(lambda: not is_answering(folder))
    assert embedded.ensure_running(folder) == before


def test_data_survive_a_stop(folder: Path, client: redis.Redis) -> None:
    client.set("k", "v")
    embedded.stop(folder)
    embedded.ensure_running(folder)
    assert client.get("k") == b"v"


def test_the_server_moves_when_a_stranger_sits_on_its_port(folder: Path) -> None:
    chosen = embedded.endpoint(folder)
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", chosen.port))
        moved = embedded.ensure_running(folder)
    assert moved.port != chosen.port
    assert moved.password == chosen.password
    assert embedded.endpoint(folder) == moved


def test_another_folders_server_is_not_taken_for_ours(folder: Path) -> None:
    ours, other = folder / "a", folder / "b"
    stranger = embedded.ensure_running(other)
    try:
        (ours / "valkey").mkdir(parents=True)
        (ours / "valkey" / "endpoint.json").write_text(f'{{"port": {stranger.port}, "password": "ours"}}')
        assert not embedded.is_running(ours)
    finally:
        embedded.stop(other)


def test_a_stuck_server_is_waited_for_and_not_doubled(
    folder: Path, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "START_TIMEOUT_S", 0.1)
    before, pid = embedded.endpoint(folder), server_pid(client)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(EmbeddedServerError):
            embedded.ensure_running(folder)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert embedded.ensure_running(folder) == before
    assert server_pid(client) == pid


def test_stopping_ends_the_server(folder: Path, client: redis.Redis) -> None:
    assert embedded.stop(folder) is True
    assert not embedded.is_running(folder)


def test_stopping_says_when_there_was_nothing_to_stop(folder: Path) -> None:
    assert embedded.stop(folder) is False


def test_a_server_that_will_not_stop_is_reported(folder: Path, client: redis.Redis) -> None:
    pid = server_pid(client)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(EmbeddedServerError, match="has not ended within"):
            embedded.stop(folder, timeout_s=0)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_failed_start_quotes_the_servers_log(folder: Path) -> None:
    (folder / "valkey" / "appendonlydir").mkdir(parents=True)
    (folder / "valkey" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(EmbeddedServerError, match=r"(?s)did not start; its log ends with: .*nonsense"):
        embedded.ensure_running(folder)


def test_an_idle_server_ends_by_itself(folder: Path) -> None:
    with serving(folder, f"serve_until_idle(pathlib.Path({str(folder)!r}), idle_exit_s=0.2)") as served:
        assert served.wait() == 0
    assert "Ready to accept connections" in (folder / "valkey" / "valkey.log").read_text()
    assert not embedded.is_running(folder)


def test_a_server_with_a_client_stays(folder: Path) -> None:
    with serving(folder, f"serve_until_idle(pathlib.Path({str(folder)!r}), idle_exit_s=0.2)") as served:
        connected = eventually(lambda: connect(folder))
        eventually(lambda: connected.info("server")["uptime_in_seconds"] >= 2)
        assert served.is_alive
        connected.close()
        served.wait()


def connect(folder: Path) -> redis.Redis | None:
    """A client that holds one connection from now on, or None."""
    client = redis.Redis.from_url(embedded.endpoint(folder).url, single_connection_client=False)
    try:
        client.ping()
    except redis.ConnectionError:
        client.close()
        return None
    return client


def test_a_server_started_on_demand_outlives_the_terminal_that_started_it(client: redis.Redis) -> None:
    assert os.getsid(server_pid(client)) != os.getsid(0)


def test_a_supervised_server_waits_for_the_one_that_serves_and_takes_over(folder: Path, client: redis.Redis) -> None:
    before = server_pid(client)
    client.set("k", "v")
    with serving(folder, f"serve(pathlib.Path({str(folder)!r}))") as supervised:
        embedded.stop(folder)
        eventually(lambda: is_answering(folder))
        assert before != server_pid(client) == supervised.pid
        assert client.get("k") == b"v"


def test_stopping_a_supervised_server_by_signal_saves_its_data(folder: Path) -> None:
    with serving(folder, f"serve(pathlib.Path({str(folder)!r}))") as supervised:
        connected = eventually(lambda: connect(folder))
        connected.set("k", "v")
        connected.close()
        assert supervised.stop() == 0
    with redis.Redis.from_url(embedded.ensure_running(folder).url) as again:
        assert again.get("k") == b"v"


def test_a_folder_may_have_any_name(data_dir: Path) -> None:
    awkward = data_dir / 'my "dätä" \\ #1'
    embedded.ensure_running(awkward)
    try:
        assert embedded.is_running(awkward)
    finally:
        embedded.stop(awkward)
