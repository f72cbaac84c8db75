"""Where things are, by setting and by default; reading an address starts nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from platform import embedded, endpoints
from platform.settings import Settings, load


def configured(data_dir: Path, **values: str) -> Settings:
    environ = {f"PLATFORM_{name.upper()}": value for name, value in values.items()}
    return load({"PLATFORM_DATA_DIR": str(data_dir), **environ}).settings


def test_the_broker_defaults_to_the_folders_embedded_server(data_dir: Path) -> None:
    assert endpoints.broker_url(configured(data_dir)) == embedded.endpoint(data_dir).url


def test_records_default_to_the_folders_embedded_server(data_dir: Path) -> None:
    assert endpoints.redis_url(configured(data_dir)) == embedded.endpoint(data_dir).url


def test_records_default_to_the_broker_if_it_is_redis(data_dir: Path) -> None:
    assert endpoints.redis_url(configured(data_dir, broker_url="rediss://h/1")) == "rediss://h/1"


def test_records_default_to_the_embedded_server_beside_rabbitmq(data_dir: Path) -> None:
    found = endpoints.redis_url(configured(data_dir, broker_url="amqp://h"))
    assert found == embedded.endpoint(data_dir).url


def test_records_go_where_they_are_told(data_dir: Path) -> None:
    found = endpoints.redis_url(configured(data_dir, broker_url="redis://a", redis_url="redis://b"))
    assert found == "redis://b"


def test_the_database_defaults_to_a_file_in_the_data_folder(data_dir: Path) -> None:
    assert endpoints.database_url(configured(data_dir)) == f"sqlite:///{data_dir}/platform.db"


def test_the_database_is_where_it_is_told(data_dir: Path) -> None:
    assert endpoints.database_url(configured(data_dir, database_url="postgresql://h/d")) == "postgresql://h/d"


def test_reading_addresses_starts_no_server(data_dir: Path) -> None:
    endpoints.broker_url(configured(data_dir))
    endpoints.redis_url(configured(data_dir))
    assert not embedded.is_running(data_dir)


@pytest.mark.parametrize(
    ("values", "needed"),
    [
        ({}, True),
        ({"broker_url": "redis://h"}, False),
        ({"broker_url": "amqp://h"}, True),
        ({"redis_url": "redis://h"}, True),
        ({"broker_url": "amqp://h", "redis_url": "redis://h"}, False),
    ],
)
def test_the_embedded_server_is_needed_unless_broker_and_records_are_elsewhere(
    data_dir: Path, values: dict[str, str], needed: bool
) -> None:
    assert endpoints.uses_embedded(configured(data_dir, **values)) is needed


def test_no_server_is_started_when_none_is_needed(data_dir: Path) -> None:
    endpoints.ensure_embedded(configured(data_dir, broker_url="redis://h"))
    assert list(data_dir.iterdir()) == []
