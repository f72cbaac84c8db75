"""Settings: what is refused, what the refusal says, and that it never says a secret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from platform.errors import SettingsError
from platform.settings import Settings, is_secret, known_variables, load, settings

LONG_KEY = "k" * 32
PRODUCTION = {
    "PLATFORM_ENV": "production",
    "PLATFORM_SECRET_KEYS": LONG_KEY,
    "PLATFORM_FLOWER_PASSWORD": "p" * 12,
}


def refusal(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        load(environ)
    return str(caught.value)


def toml(folder: Path, text: str) -> dict[str, str]:
    """An environment that names a TOML file with that text."""
    file = folder / "platform.toml"
    file.write_text(text)
    return {"PLATFORM_CONFIG": str(file)}


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    found = load({}).settings
    assert (found.env, found.http_host, found.http_port, found.flower_port, found.web_role, found.health_port) == (
        "development",
        "127.0.0.1",
        8000,
        5555,
        "all",
        None,
    )


def test_the_data_folder_defaults_to_var_in_the_current_folder() -> None:
    assert load({}).settings.data_dir == Path.cwd() / "var"


def test_a_relative_data_folder_is_made_absolute() -> None:
    assert load({"PLATFORM_DATA_DIR": "a/b"}).settings.data_dir == Path.cwd() / "a" / "b"


def test_a_tilde_in_the_data_folder_is_the_home_folder() -> None:
    assert load({"PLATFORM_DATA_DIR": "~/b"}).settings.data_dir == Path.home() / "b"


def test_other_programs_variables_are_not_ours() -> None:
    assert load({"HTTP_PORT": "1", "CELERY_BROKER_URL": "x"}).settings.http_port == 8000


def test_a_value_of_the_environment_is_used() -> None:
    assert load({"PLATFORM_HTTP_PORT": "9001"}).settings.http_port == 9001


def test_a_list_is_split_at_commas_and_trimmed() -> None:
    assert load({"PLATFORM_IMPORTS": "shop, mail.tasks ,"}).settings.imports == ("shop", "mail.tasks")


@pytest.mark.parametrize("name", ["broker_url", "redis_url", "database_url", "flower_password"])
def test_an_empty_value_is_an_unset_one(name: str) -> None:
    assert getattr(load({f"PLATFORM_{name.upper()}": ""}).settings, name) is None


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load({}).settings.http_port = 1


def test_an_unknown_setting_is_refused_with_the_nearest_known_one() -> None:
    message = refusal({"PLATFORM_BROKER_ULR": "redis://h"})
    assert "PLATFORM_BROKER_ULR" in message
    assert "did you mean 'PLATFORM_BROKER_URL'?" in message


def test_every_unknown_setting_is_named_at_once() -> None:
    message = refusal({"PLATFORM_BROKER_ULR": "x", "PLATFORM_HTP_PORT": "1"})
    assert "PLATFORM_BROKER_ULR" in message
    assert "PLATFORM_HTP_PORT" in message


def test_the_value_of_an_unknown_setting_is_not_quoted() -> None:
    assert "hunter2" not in refusal({"PLATFORM_SECRET_KEY": "hunter2"})


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("PLATFORM_HTTP_PORT", "99999", "less than or equal to 65535"),
        ("PLATFORM_HTTP_PORT", "eighty", "valid integer"),
        ("PLATFORM_ENV", "prod", "'development' or 'production'"),
        ("PLATFORM_WEB_ROLE", "socket", "'all', 'http' or 'sockets'"),
        ("PLATFORM_WORKERS", "0", "greater than or equal to 1"),
        ("PLATFORM_APP_ID", "a b", "match pattern"),
        ("PLATFORM_DEBUG", "maybe", "valid boolean"),
    ],
)
def test_a_bad_value_is_refused_with_key_value_and_rule(key: str, value: str, rule: str) -> None:
    message = refusal({key: value})
    assert f"{key}={value!r}" in message
    assert rule in message


def test_every_bad_value_is_named_at_once() -> None:
    message = refusal({"PLATFORM_HTTP_PORT": "0", "PLATFORM_WORKERS": "0"})
    assert "PLATFORM_HTTP_PORT" in message
    assert "PLATFORM_WORKERS" in message


@pytest.mark.parametrize("key", ["PLATFORM_BROKER_URL", "PLATFORM_REDIS_URL"])
def test_an_unknown_url_scheme_is_refused_with_the_known_ones(key: str) -> None:
    message = refusal({key: "kafka://h"})
    assert f"{key}: scheme 'kafka' is not one of redis://" in message


@pytest.mark.parametrize(
    "url", ["redis://h", "rediss://h", "redis+socket:///s", "sentinel://h", "amqp://h", "amqps://h"]
)
def test_a_broker_url_of_every_documented_scheme_is_accepted(url: str) -> None:
    assert load({"PLATFORM_BROKER_URL": url}).settings.broker_url == url


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///here.db",
        "sqlite+pysqlite:////srv/there.db?timeout=3",
        "postgresql://u:p@h/d",
        "postgresql+psycopg://h/d",
        "postgres://h/d",
    ],
)
def test_a_database_url_that_has_a_driver_is_accepted(url: str) -> None:
    assert load({"PLATFORM_DATABASE_URL": url}).settings.database_url == url


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        ("foo", ""),
        ("hunter2@h", ""),
        ("mysql://u:hunter2@x/y", "mysql"),
        ("postgresql+asyncpg://u:hunter2@h/d", "postgresql+asyncpg"),
        ("redis://h", "redis"),
    ],
)
def test_a_database_url_of_another_scheme_is_refused_with_the_known_ones(url: str, scheme: str) -> None:
    message = refusal({"PLATFORM_DATABASE_URL": url})
    assert f"PLATFORM_DATABASE_URL: scheme {scheme!r} is not one of sqlite://, " in message
    assert "postgresql://, postgresql+psycopg://" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///?x=1", "sqlite://h/x.db"])
def test_a_sqlite_url_names_a_file(url: str) -> None:
    assert "sqlite:// needs a file, as in sqlite:////srv/platform.db" in refusal({"PLATFORM_DATABASE_URL": url})


def test_records_cannot_be_kept_in_rabbitmq() -> None:
    assert "PLATFORM_REDIS_URL: scheme 'amqp'" in refusal({"PLATFORM_REDIS_URL": "amqp://h"})


@pytest.mark.parametrize(
    "environ",
    [
        {"PLATFORM_BROKER_URL": "kafka://u:hunter2@h"},
        {"PLATFORM_REDIS_URL": "hunter2"},
        {"PLATFORM_BROKER_URL": "redis://u:hunter2@h", "PLATFORM_HTTP_PORT": "x"},
        {"PLATFORM_SECRET_KEYS": "hunter2", "PLATFORM_ENV": "production"},
        {"PLATFORM_FLOWER_PASSWORD": "hunter2", "PLATFORM_ENV": "production", "PLATFORM_SECRET_KEYS": LONG_KEY},
        {"PLATFORM_FLOWER_PASSWORD": "hunter2", "PLATFORM_WORKERS": "0"},
    ],
)
def test_a_refusal_never_quotes_a_secret(environ: dict[str, str]) -> None:
    assert "hunter2" not in refusal(environ)


def test_a_refusals_cause_never_quotes_a_secret() -> None:
    with pytest.raises(SettingsError) as caught:
        load({**PRODUCTION, "PLATFORM_SECRET_KEYS": "hunter2"})
    assert "hunter2" not in str(caught.value.__cause__)


def test_settings_do_not_show_their_secrets_when_printed() -> None:
    shown = repr(load({"PLATFORM_SECRET_KEYS": "hunter2", "PLATFORM_FLOWER_PASSWORD": "hunter3"}).settings)
    assert "hunter2" not in shown
    assert "hunter3" not in shown


def test_secret_settings_are_known_as_such() -> None:
    secret = {name for name, field in Settings.model_fields.items() if is_secret(name, field)}
    assert secret == {"secret_keys", "flower_password", "broker_url", "redis_url", "database_url"}


def test_a_file_sets_values(tmp_path: Path) -> None:
    environ = toml(tmp_path, 'http_port = 9001\nimports = ["shop", "mail"]\ndebug = true\n')
    found = load(environ).settings
    assert (found.http_port, found.imports, found.debug) == (9001, ("shop", "mail"), True)


@pytest.mark.parametrize("written", ["http_port", "HTTP_PORT", "PLATFORM_HTTP_PORT"])
def test_a_key_of_the_file_may_be_written_as_in_the_environment(tmp_path: Path, written: str) -> None:
    assert load(toml(tmp_path, f"{written} = 9001")).settings.http_port == 9001


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    environ = toml(tmp_path, "http_port = 9001\nflower_port = 9002")
    found = load({**environ, "PLATFORM_HTTP_PORT": "9003"}).settings
    assert (found.http_port, found.flower_port) == (9003, 9002)


def test_every_value_tells_its_origin(tmp_path: Path) -> None:
    environ = toml(tmp_path, "http_port = 9001\nflower_port = 9002")
    origins = load({**environ, "PLATFORM_HTTP_PORT": "9003"}).origins
    assert (origins["http_port"], origins["flower_port"], origins["workers"]) == (
        "environment",
        environ["PLATFORM_CONFIG"],
        "default",
    )


def test_every_setting_has_an_origin() -> None:
    assert set(load({}).origins) == set(Settings.model_fields)


def test_an_unknown_key_of_the_file_is_refused_with_the_nearest_and_the_files_path(tmp_path: Path) -> None:
    environ = toml(tmp_path, "http_prot = 1")
    message = refusal(environ)
    assert f"http_prot: unknown setting in {environ['PLATFORM_CONFIG']}" in message
    assert "PLATFORM_HTTP_PORT" in message


def test_a_bad_value_of_the_file_is_refused(tmp_path: Path) -> None:
    assert "PLATFORM_HTTP_PORT=0" in refusal(toml(tmp_path, "http_port = 0"))


def test_a_table_in_the_file_is_refused(tmp_path: Path) -> None:
    assert "http: unknown setting" in refusal(toml(tmp_path, "[http]\nport = 1"))


def test_a_file_that_is_not_toml_is_refused_with_its_path(tmp_path: Path) -> None:
    environ = toml(tmp_path, "http_port 9001")
    assert environ["PLATFORM_CONFIG"] in refusal(environ)


def test_a_missing_file_is_refused_with_its_path() -> None:
    assert "PLATFORM_CONFIG=/no/such.toml" in refusal({"PLATFORM_CONFIG": "/no/such.toml"})


def test_the_files_name_itself_is_a_known_variable() -> None:
    assert "PLATFORM_CONFIG" in known_variables()


def test_production_starts_with_long_secrets() -> None:
    assert load(PRODUCTION).settings.is_production


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"PLATFORM_SECRET_KEYS": ""}, "PLATFORM_SECRET_KEYS: must be set"),
        ({"PLATFORM_SECRET_KEYS": "short"}, "PLATFORM_SECRET_KEYS: every key must have at least 32"),
        ({"PLATFORM_SECRET_KEYS": f"{LONG_KEY},short"}, "PLATFORM_SECRET_KEYS: every key must have at least 32"),
        ({"PLATFORM_FLOWER_PASSWORD": ""}, "PLATFORM_FLOWER_PASSWORD: must be set"),
        ({"PLATFORM_FLOWER_PASSWORD": "short"}, "PLATFORM_FLOWER_PASSWORD: must be set"),
        ({"PLATFORM_DEBUG": "true"}, "PLATFORM_DEBUG: must be off"),
    ],
)
def test_production_refuses(change: dict[str, str], named: str) -> None:
    assert named in refusal({**PRODUCTION, **change})


def test_production_names_everything_that_is_missing_at_once() -> None:
    message = refusal({"PLATFORM_ENV": "production"})
    assert "PLATFORM_SECRET_KEYS" in message
    assert "PLATFORM_FLOWER_PASSWORD" in message


def test_development_starts_with_nothing_set() -> None:
    assert not load({}).settings.is_production


def test_the_sockets_role_has_its_own_default_port() -> None:
    assert load({"PLATFORM_WEB_ROLE": "sockets"}).settings.http_port == 8010


def test_the_sockets_role_takes_the_port_it_is_given() -> None:
    assert load({"PLATFORM_WEB_ROLE": "sockets", "PLATFORM_HTTP_PORT": "9001"}).settings.http_port == 9001


def test_the_http_role_keeps_the_usual_port() -> None:
    assert load({"PLATFORM_WEB_ROLE": "http"}).settings.http_port == 8000


def test_a_processs_settings_are_read_once(settings_env: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    first = settings()
    monkeypatch.setenv("PLATFORM_HTTP_PORT", "9001")
    assert settings() is first


def test_every_setting_has_a_help_text() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
