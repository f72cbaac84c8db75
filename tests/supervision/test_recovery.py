"""Whatever is killed is back within ten seconds, and the platform serves on."""

from __future__ import annotations

import pytest

from deploy.supervision import processes as machine
from deploy.supervision.status import Service
from tests.supervision.installation import RECOVERY_S, Installation
from tests.waiting import eventually

pytestmark = pytest.mark.supervision


@pytest.mark.parametrize("name", ["valkey", "worker1", "beat", "web", "flower"])
def test_a_killed_program_is_back(running: Installation, name: str) -> None:
    before = running.now()[name]
    leader = machine.identify(running.pid(name))
    assert leader is not None
    family = machine.family(leader, machine.table())
    running.kill(name)
    eventually(lambda: running.now()[name].pid != before.pid and running.runs(), RECOVERY_S)
    assert running.now()[name].restarts == before.restarts + 1
    eventually(lambda: not [p.pid for p in family if machine.is_alive(p.identity)])
    assert running.does_work()


@pytest.mark.parametrize("name", ["worker1 child", "web child"])
def test_a_killed_child_is_replaced(running: Installation, name: str) -> None:
    parent = running.pid(name.split(maxsplit=1)[0])
    killed = running.kill(name)
    eventually(lambda: len(running.children(parent)) == 2 and killed not in running.children(parent), RECOVERY_S)
    assert running.runs()
    assert running.does_work()


def test_a_killed_supervisor_is_back_and_its_orphans_are_gone(running: Installation) -> None:
    before = running.now()
    running.collect()
    orphans = set(running.seen)
    running.kill("supervisor")
    eventually(lambda: _are_all_new(running.now(), before) and running.runs(), RECOVERY_S)
    assert not [identity.pid for identity in orphans if machine.is_alive(identity)]
    assert {n: s.restarts for n, s in running.now().items()} == {n: s.restarts + 1 for n, s in before.items()}
    assert running.does_work()


def test_a_killed_guard_is_back(running: Installation) -> None:
    before = running.now()
    killed = running.kill("guard")
    eventually(lambda: running.pid("guard") != killed, RECOVERY_S)
    assert {name: service.pid for name, service in running.now().items()} == {n: s.pid for n, s in before.items()}


def test_supervisor_and_guard_killed_at_once_are_brought_back_by_up(running: Installation) -> None:
    before = running.now()
    for name in ("guard", "supervisor"):
        running.kill(name)
    eventually(lambda: _are_all_new(running.now(), before) and running.runs(), RECOVERY_S)
    assert running.does_work()


def test_up_says_what_died_and_what_is_back(running: Installation) -> None:
    assert running.foreground is not None
    running.kill("beat")
    running.foreground.wait_for("beat died (terminated by SIGKILL); it is started again", RECOVERY_S)
    running.foreground.wait_for("beat is back after", RECOVERY_S)


def _are_all_new(now: dict[str, Service], before: dict[str, Service]) -> bool:
    return now.keys() == before.keys() and all(now[name].pid not in (None, before[name].pid) for name in now)
