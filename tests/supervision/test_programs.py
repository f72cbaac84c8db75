"""Which programs the settings ask for, and how people name them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.supervision.errors import UnknownService
from deploy.supervision.programs import Program, pick, programs, url
from platform.settings import settings

NAMES = ["valkey", "worker1", "worker2", "beat", "web", "flower"]


def configured() -> dict[str, Program]:
    config = settings()
    return {program.name: program for program in programs(config)}


def test_one_worker_and_an_embedded_valkey_are_the_default(settings_env: Callable[..., None]) -> None:
    assert list(configured()) == ["valkey", "worker1", "beat", "web", "flower"]


def test_a_broker_elsewhere_needs_no_valkey(settings_env: Callable[..., None]) -> None:
    settings_env(broker_url="redis://elsewhere:6379/0", workers=3)
    assert list(configured()) == ["worker1", "worker2", "worker3", "beat", "web", "flower"]


def test_rabbitmq_alone_still_needs_valkey_for_the_records(settings_env: Callable[..., None]) -> None:
    settings_env(broker_url="amqp://guest:guest@elsewhere//")
    assert "valkey" in configured()


def test_a_worker_may_take_as_long_as_it_gives_its_jobs(settings_env: Callable[..., None]) -> None:
    settings_env(shutdown_timeout_s=90)
    assert configured()["worker1"].stop_s > 90


def test_no_command_names_a_secret(settings_env: Callable[..., None]) -> None:
    secret = "s3cret-" * 6
    settings_env(broker_url=f"redis://:{secret}@elsewhere:6379/0", flower_password=secret, secret_keys=secret)
    assert not [program for program in configured().values() if secret in " ".join(program.command)]


def test_concurrency_is_left_to_celery_unless_set(settings_env: Callable[..., None]) -> None:
    assert not [part for part in configured()["worker1"].command if "concurrency" in part]
    settings_env(worker_concurrency=3)
    assert "--concurrency=3" in configured()["worker1"].command


def test_a_name_is_one_program_or_a_kind() -> None:
    assert pick("worker2", NAMES) == ["worker2"]
    assert pick("worker", NAMES) == ["worker1", "worker2"]


def test_an_unknown_name_comes_with_the_nearest_or_with_all() -> None:
    with pytest.raises(UnknownService, match="did you mean 'flower'"):
        pick("flowr", NAMES)
    with pytest.raises(UnknownService, match="there are valkey, worker1"):
        pick("database", NAMES)


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "http://127.0.0.1:80"), ("0.0.0.0", "http://localhost:80"), ("::1", "http://[::1]:80")],
)
def test_an_address_can_be_opened_on_this_machine(host: str, shown: str) -> None:
    assert url(host, 80) == shown


def test_gunicorns_configuration_is_where_the_command_says(settings_env: Callable[..., None]) -> None:
    command = configured()["web"].command
    assert Path(command[command.index("-c") + 1]).is_file()
