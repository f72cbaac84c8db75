"""What is refused before anything is started, in one sentence."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from tests.supervision.installation import Installation

COMMANDS = ["status", "stop", "restart", "update", "logs"]


@pytest.fixture
def stranger() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_running_is_said_with_what_to_do(installation: Installation, command: str) -> None:
    done = installation.services(command)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"Error: nothing is running in {installation.place.data_dir}; start it with `celery -A platform up`\n"
    )


def test_nothing_running_is_an_empty_list_for_scripts(installation: Installation) -> None:
    done = installation.services("status", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (1, [])


@pytest.mark.parametrize("command", [*COMMANDS, "start"])
def test_an_unknown_name_is_wrong_usage_even_when_nothing_runs(installation: Installation, command: str) -> None:
    done = installation.services(command, "flwer")
    assert done.returncode == 2
    assert done.stderr == "Error: no service is called 'flwer'; did you mean 'flower'?\n"


@pytest.mark.parametrize("key", ["http_port", "flower_port"])
@pytest.mark.parametrize("detach", [(), ("--detach",)])
def test_a_port_of_a_stranger_is_named(
    installation: Installation, stranger: int, key: str, detach: tuple[str, ...]
) -> None:
    done = installation.celery("up", *detach, **{key: stranger})
    assert done.returncode == 1
    assert f"PLATFORM_{key.upper()}={stranger}: another program" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not installation.place.run.joinpath("supervisord.pid").exists()


def test_api_and_flower_cannot_share_a_port(installation: Installation) -> None:
    done = installation.celery("up", flower_port=installation.port)
    assert done.returncode == 1
    assert "cannot share a port" in done.stderr


@pytest.mark.parametrize("command", [("up",), ("services", "status")])
def test_bad_settings_are_wrong_usage(installation: Installation, command: tuple[str, ...]) -> None:
    done = installation.celery(*command, http_port="many")
    assert done.returncode == 2
    assert "PLATFORM_HTTP_PORT='many'" in done.stderr
    assert "Traceback" not in done.stderr
