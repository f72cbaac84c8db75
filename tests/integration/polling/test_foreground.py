"""``python -m MODULE``: real processes, killed, frozen and stopped; the work itself checks that it is alone."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from platform.polling.slots import slots_of
from tests.integration.polling.conftest import Diary
from tests.processes import Program, free_port
from tests.waiting import eventually

Start = Callable[..., Program]


def test_of_two_processes_one_works_and_the_other_takes_over_from_a_killed_one(counter: Start, diary: Diary) -> None:
    first = counter()
    diary.wait_for("batch", first.pid)
    second = counter()
    second.wait_for("counter stands by: it is at work at")
    assert f"process {first.pid}" in second.text()
    diary.wait_for("batch", first.pid, len(diary.lines("batch")) + 20)
    assert diary.lines("up") == [("up", first.pid, diary.lines("up")[0][2])]
    first.kill()
    killed_at = time.monotonic()
    (fence,) = {line[2] for line in diary.wait_for("batch", second.pid, timeout_s=15)}
    assert time.monotonic() - killed_at < 15
    assert fence > diary.lines("up")[0][2]
    assert "TWICE" not in diary.text()


def test_sigterm_lets_the_batch_finish_and_frees_the_slot_at_once(counter: Start, diary: Diary) -> None:
    diary.put("gate")
    first = counter()
    diary.wait_for("held", first.pid)
    second = counter()
    second.wait_for("stands by")
    first.signal(signal.SIGTERM)
    diary.take_away("gate")
    assert first.wait() == 0
    assert [word for word, pid, _ in diary.lines() if pid == first.pid] == ["up", "batch", "held", "freed", "down"]
    diary.wait_for("batch", second.pid, timeout_s=5)  # not the lease's 8 s
    assert second.stop() == 0


def test_a_second_interrupt_does_not_wait_for_the_batch(counter: Start, diary: Diary) -> None:
    diary.put("gate")
    only = counter()
    diary.wait_for("held", only.pid)
    only.signal(signal.SIGINT)
    only.wait_for("Ctrl-C again stops at once")
    only.signal(signal.SIGINT)
    assert only.wait() == 130
    assert diary.lines("down") == []


def test_who_was_frozen_past_its_lease_does_nothing_more_in_it(counter: Start, diary: Diary) -> None:
    first = counter(lease_ttl_s=2)
    diary.wait_for("batch", first.pid)
    second = counter(lease_ttl_s=2)
    second.wait_for("stands by")
    diary.put("gate")  # so that it is frozen while no file says that it is alone
    diary.wait_for("held", first.pid)
    first.signal(signal.SIGSTOP)
    diary.take_away("gate")
    diary.wait_for("batch", second.pid, 5)
    first.signal(signal.SIGCONT)
    first.wait_for("lost its lease")
    first.wait_for("stands by: it is at work")
    old = diary.lines("up")[0][2]
    seen = diary.wait_for("batch", second.pid, len(diary.lines("batch")) + 20)
    after = diary.lines().index(seen[0])
    assert [line for line in diary.lines("batch") if line[2] == old and diary.lines().index(line) > after] == []
    assert "TWICE" not in diary.text()


def test_once_is_one_batch(counter: Start, diary: Diary) -> None:
    done = counter("--once")
    assert done.wait(40) == 0
    assert [word for word, _, _ in diary.lines()] == ["up", "batch", "down"]
    diary.put("idle")
    assert counter("--once").wait(40) == 0
    diary.put("broken")
    assert counter("--once").wait(40) == 1
    assert "error" in diary.text()
    assert counter("--onec").wait(40) == 2


def test_once_beside_one_that_works_does_nothing_and_says_so(counter: Start, diary: Diary) -> None:
    first = counter(lease_ttl_s=2)
    diary.wait_for("batch", first.pid)
    done = counter("--once", lease_ttl_s=2)
    assert done.wait(40) == 1
    assert "no slot was free; nothing was done" in done.text()
    assert {line[1] for line in diary.lines("batch")} == {first.pid}


def test_a_health_port_tells_what_it_does(counter: Start, diary: Diary) -> None:
    port = free_port()
    only = counter("--health-port", str(port))
    diary.wait_for("batch", only.pid, 3)
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as http:
        assert [http.get(path).status_code for path in ("/health", "/ready", "/nothing")] == [200, 200, 404]
        now = http.get("/status").json()["worker"]
        assert (now["name"], now["errors"], now["processed"] >= 3) == ("counter", 0, True)
        assert now["fence"] == diary.lines("up")[0][2]
        metrics = http.get("/metrics").text
        assert 'platform_batch_worker_processed_total{worker="counter"}' in metrics
        assert 'platform_batch_worker_active{worker="counter"} 1.0' in metrics
    taken = counter("--health-port", str(port))
    assert taken.wait(40) == 2
    assert f"--health-port={port}" in taken.text()


def test_an_error_that_is_no_utf8_ends_nothing(counter: Start, diary: Diary) -> None:
    diary.put("broken", "no UTF-8")
    port = free_port()
    only = counter("--health-port", str(port))
    diary.wait_for("up", only.pid)
    eventually(lambda: diary.text().count("error") == 2 or not only.is_alive)
    now = httpx2.get(f"http://127.0.0.1:{port}/status", trust_env=False).json()["worker"]
    assert now["last_error"] == "ValueError: no such file: caf\\udce9"
    diary.take_away("broken")
    diary.wait_for("batch", only.pid)


def test_a_worker_without_work_asks_more_and_more_seldom(counter: Start, diary: Diary) -> None:
    diary.put("idle")
    only = counter()
    diary.wait_for("batch", only.pid, 8)
    assert only.is_alive


def test_two_slots_are_two_at_once_and_fences_only_grow(
    embedded: object, settings_env: Callable, redis_url: str
) -> None:
    settings_env(redis_url=redis_url, broker_url=redis_url)
    slots = slots_of("pair", 2)
    first, second = slots.take("a", "test"), slots.take("b", "test")
    assert (first.number, second.number, slots.take("c", "test")) == (0, 1, "held")
    slots.release(0, "b")  # not its own
    assert slots.take("c", "test") == "held"
    slots.release(0, "a")
    third = slots.take("c", "test")
    assert third.number == 0
    assert first.fence < second.fence < third.fence
    assert eventually(lambda: slots.renew(0, "a", {})) == (False, False)


def test_a_module_without_an_entrance_of_its_own_is_run_as_well(python: Callable, folder: Path, diary: Diary) -> None:
    lines = (folder / "polled.py").read_text().partition("if __name__")[0]
    (folder / "plain.py").write_text(lines.replace("POLLED_FOLDER", "HOME").replace('"counter"', '"plain"'))
    (folder / "twofold.py").write_text((folder / "plain.py").read_text().replace('"plain"', '"one"'))
    with (folder / "twofold.py").open("a") as file:
        file.write("class Other(Counter):\n    name = 'two'\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(diary.folder))
        done = python("-m", "plain", "--once", folder=folder)
        undecided = python("-m", "twofold", "--once", folder=folder)
    assert (done.returncode, [word for word, _, _ in diary.lines()]) == (0, ["up", "batch", "down"])
    assert (undecided.returncode, "has the workers Counter, Other" in undecided.stderr) == (2, True)
