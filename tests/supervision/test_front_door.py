"""gunicorn's configuration: what it logs, what it counts, how it reloads."""

from __future__ import annotations

import http.client
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx2

from deploy.supervision import processes as machine
from tests import processes
from tests.processes import Web
from tests.waiting import eventually


def children(web: Web) -> list[int]:
    return sorted(process.pid for process in machine.table().values() if process.parent == web.pid)


def is_replaced(web: Web, before: set[int]) -> bool:
    now = set(children(web))
    return len(now) == 2 and not now & before


def is_healthy(web: Web) -> bool:
    return httpx2.get(f"{web.url}/health", timeout=10, trust_env=False).status_code == 200


def test_a_token_in_the_query_is_not_logged(web: Callable[..., Web]) -> None:
    door = web()
    door.http.get("/health", params={"token": "very-secret"})
    door.wait_for('"GET /health" 200')
    assert "very-secret" not in door.text()


def test_a_path_cannot_write_lines_of_its_own(web: Callable[..., Web]) -> None:
    door = web()
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=10)
    connection.request("GET", "/x%0A127.0.0.1%20forged")
    connection.getresponse().read()
    connection.close()
    door.wait_for('"GET /x%0A127.0.0.1%20forged"')


def test_numbers_of_the_last_run_are_forgotten(web: Callable[..., Web], data_dir: Path) -> None:
    old = data_dir / "metrics" / "web" / "counter_1.db"
    old.parent.mkdir(parents=True)
    old.touch()
    web()
    assert not old.exists()


def test_a_workers_live_gauges_go_with_it(web: Callable[..., Web], data_dir: Path) -> None:
    door = web()
    (pid,) = children(door)
    gauge = data_dir / "metrics" / "web" / f"gauge_liveall_{pid}.db"
    gauge.touch()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not gauge.exists())
    eventually(lambda: children(door) and is_healthy(door))


def test_a_reload_keeps_nobody_waiting(web: Callable[..., Web]) -> None:
    """The new workers have loaded the code before the old ones leave."""
    door = web(web_workers=2)
    door.http.close()
    before, slowest_s = set(children(door)), 0.0
    door.signal(signal.SIGHUP)

    def is_over() -> bool:
        nonlocal slowest_s
        began = time.monotonic()
        assert is_healthy(door)
        slowest_s = max(slowest_s, time.monotonic() - began)
        return is_replaced(door, before)

    eventually(is_over, 15, poll_s=0.01)
    assert slowest_s < 1.5


def test_a_second_reload_follows_at_once(web: Callable[..., Web]) -> None:
    door = web(web_workers=2)
    door.http.close()  # an open connection would keep its worker for as long as it may be idle
    for _ in range(2):
        before = set(children(door))
        door.signal(signal.SIGHUP)
        eventually(partial(is_replaced, door, before), 20)
    assert is_healthy(door)


def test_a_reload_reads_the_settings_again(web: Callable[..., Web], tmp_path: Path) -> None:
    file = tmp_path / "platform.toml"
    file.write_text("log_level = 'INFO'\n")
    door = web(env={"PLATFORM_CONFIG": str(file)})
    assert "[DEBUG]" not in door.text()
    file.write_text("log_level = 'DEBUG'\n")
    door.signal(signal.SIGHUP)
    door.wait_for("[DEBUG]")


def test_bad_settings_end_it_with_their_message(data_dir: Path) -> None:
    env = processes.environment({"data_dir": data_dir, "http_port": "many"})
    done = processes.run(sys.executable, "-m", "gunicorn", "-c", "web/gunicorn.conf.py", "web.wsgi:app", env=env)
    assert done.returncode != 0
    assert "PLATFORM_HTTP_PORT='many'" in done.stderr
    assert "Traceback" not in done.stderr
