"""What is written is what supervisord reads."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from deploy.supervision import configuration
from deploy.supervision.place import Place
from deploy.supervision.programs import FRONT, STORE, WORK, Program
from platform.errors import SettingsError

ODD = 'it\'s 100% "odd" $HOME ünd %(here)s;#'
PROGRAMS = [
    Program("valkey", STORE, ("/bin/valkey", ODD), stop_s=20),
    Program("worker1", WORK, ("/bin/celery", "-n", "worker1@%h", "--empty="), stop_s=40),
    Program("worker2", WORK, ("/bin/celery", " #no comment", " ;nor this")),
    Program("web", FRONT, ("/bin/gunicorn",)),
]


def read(place: Place, programs: list[Program] = PROGRAMS) -> ServerOptions:
    """The configuration as supervisord itself understands it."""
    place.make()
    place.configuration.write_text(configuration.text(programs, place, place.choose_socket()))
    options = ServerOptions()
    options.realize(["-c", str(place.configuration)])
    return options


@pytest.mark.parametrize("folder", ["plain", "with space", "100 %", "%(here)s", 'it\'s "quoted"', "ünïcode"])
def test_every_path_is_read_back_as_it_is(data_dir: Path, folder: str) -> None:
    place = Place(data_dir / folder)
    options = read(place)
    groups = {group.name: group for group in options.process_group_configs}
    logs = {
        process.name: process.stdout_logfile for name in ("store", "work") for process in groups[name].process_configs
    }
    assert logs == {name: str(place.log(name)) for name in logs}
    assert options.logfile == str(place.supervisor_log)
    assert options.pidfile == str(place.pidfile)
    assert options.server_configs[0]["file"] == str(place.choose_socket())
    assert options.server_configs[0]["chmod"] == 0o700


def test_every_command_is_read_back_word_for_word(data_dir: Path) -> None:
    groups = read(Place(data_dir)).process_group_configs
    commands = {process.name: shlex.split(process.command) for group in groups for process in group.process_configs}
    assert {p.name: list(p.command) for p in PROGRAMS} == {p.name: commands[p.name] for p in PROGRAMS}


def test_valkey_is_started_first_and_stopped_last(data_dir: Path) -> None:
    groups = sorted(read(Place(data_dir)).process_group_configs, key=lambda group: group.priority)
    assert [group.name for group in groups] == ["guard", "store", "work", "front"]


def test_a_stop_spares_the_children_and_a_kill_does_not(data_dir: Path) -> None:
    """SIGTERM to a worker's children would drop the jobs they run."""
    groups = {group.name: group for group in read(Place(data_dir)).process_group_configs}
    worker = groups["work"].process_configs[0]
    assert (worker.stopasgroup, worker.killasgroup, worker.stopwaitsecs) == (False, True, 40)


def test_a_group_without_programs_is_left_out(data_dir: Path) -> None:
    names = [group.name for group in read(Place(data_dir), PROGRAMS[1:]).process_group_configs]
    assert "store" not in names


@pytest.mark.parametrize("folder", ["a #b", "a ;b", "a\nb"])
def test_a_path_that_supervisord_would_cut_is_refused(data_dir: Path, folder: str) -> None:
    place = Place(data_dir / folder)
    with pytest.raises(SettingsError, match="PLATFORM_DATA_DIR"):
        configuration.text(PROGRAMS, place, place.choose_socket())
