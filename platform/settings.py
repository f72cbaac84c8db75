"""Settings: environment and TOML file to one frozen object, parsed and checked once.

Written on pydantic alone: each value keeps its origin for ``config show``, unknown names are refused
with the nearest known one, and no message ever quotes a secret.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo

from platform.errors import SettingsError, did_you_mean

PREFIX = "PLATFORM_"
CONFIG_FILE_VARIABLE = "PLATFORM_CONFIG"
MIN_SECRET_CHARS = 32
BROKER_SCHEMES = ("redis", "rediss", "redis+socket", "sentinel", "amqp", "amqps")
# Those whose drivers are installed.
DATABASE_SCHEMES = ("sqlite", "sqlite+pysqlite", "postgresql", "postgresql+psycopg", "postgres")
SQLITE_FILE = re.compile(r"[a-z+]+:///(?!:memory:)[^?]")


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _empty_is_unset(value: object) -> object:
    return None if value == "" else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_split)]
Paths = Annotated[tuple[Path, ...], BeforeValidator(_split)]
Url = Annotated[str | None, BeforeValidator(_empty_is_unset)]
Secret = Annotated[SecretStr | None, BeforeValidator(_empty_is_unset)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseModel):
    """Everything that can be set, with its default; ``description`` is the help text of ``config generate``."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=False)

    env: Literal["development", "production"] = Field(
        "development", description="production refuses to start with missing or short secrets, open Flower or debug on"
    )
    debug: bool = Field(False, description="tracebacks in HTTP answers; development only")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least severe level logged")
    data_dir: Path = Field(Path("var"), description="everything the embedded defaults keep on disk")
    app_id: str = Field("default", pattern=r"^[A-Za-z0-9_.-]{1,64}$", description="tenant of users made without one")

    broker_url: Url = Field(
        None, description="redis, rediss, redis+socket, sentinel or amqp URL; empty: embedded Valkey"
    )
    redis_url: Url = Field(None, description="job records; empty: the broker if it is Redis, else embedded Valkey")
    sentinel_master: str = Field("mymaster", description="the master's name, for sentinel:// URLs")
    key_prefix: str = Field("platform", pattern=r"^[A-Za-z0-9_.-]{1,64}$", description="first part of every Redis key")
    database_url: Url = Field(None, description="users and models; empty: SQLite in DATA_DIR")
    broker_timeout_s: Seconds = Field(1.5, le=30, description="longest wait for the broker before a 503, in seconds")

    secret_keys: Secrets = Field((), description="comma-separated, newest first; older ones still verify")
    session_ttl_s: int = Field(43_200, ge=60, description="life of a session cookie and its access token, in seconds")
    token_ttl_s: int = Field(3_600, ge=10, description="longest life of a POST /session/tokens token, in seconds")
    flower_user: str = Field("admin", min_length=1, description="who may sign in to Flower")
    flower_password: Secret = Field(None, description="empty: generated into DATA_DIR in development")

    imports: Names = Field((), description="comma-separated modules with your own tasks")
    queues: Names = Field((), description="comma-separated queues beside the built-in ones")
    queue_type: Literal["classic", "quorum"] = Field(
        "classic", description="RabbitMQ only; quorum keeps queues on several nodes, without priorities before 4.0"
    )
    worker_concurrency: int = Field(0, ge=0, le=1024, description="processes per worker; 0: one per CPU")
    lease_ttl_s: float = Field(8, ge=2, le=3600, description="a worker silent this long loses its jobs to others")
    max_deaths: int = Field(3, ge=1, le=100, description="a job whose processes died this often becomes a dead letter")
    time_limit_s: float = Field(
        21_600, ge=0, description="a job running longer is stopped; 0: never; a task may set its own"
    )
    soft_time_limit_s: float = Field(0, ge=0, description="a job running longer gets SoftTimeLimitExceeded; 0: never")
    shutdown_timeout_s: float = Field(25, ge=0, description="what a stopping worker has not ended by then goes back")
    watchdog_s: float = Field(60, ge=5, description="a worker that consumed nothing for so long is ended, in seconds")
    workers: int = Field(1, ge=1, le=64, description="workers under `up`")
    files_roots: Paths = Field((), description="comma-separated folders the Files provider may read; empty: none")
    cancel_grace_s: float = Field(10, ge=0, description="how long a cancelled running job may wind up, in seconds")
    result_max_bytes: int = Field(1_048_576, ge=256, description="largest result kept, as JSON, in bytes")
    batch_result_max_bytes: int = Field(
        65_536, ge=256, description="largest result kept of a batch's item, as JSON, in bytes"
    )
    document_max_bytes: int = Field(262_144, ge=1024, description="largest document stored, as JSON, in bytes")
    keep_changes_s: int = Field(
        86_400, ge=60, description="a document's change that comes again within this time changes nothing, in seconds"
    )
    keep_completed_s: int = Field(86_400, ge=60, description="how long completed jobs are listed, in seconds")
    keep_failed_s: int = Field(1_209_600, ge=60, description="how long failed jobs are listed, in seconds")
    keep_cancelled_s: int = Field(86_400, ge=60, description="how long cancelled jobs are listed, in seconds")
    keep_dead_letters_s: int = Field(
        2_592_000, ge=60, description="how long replayed and discarded dead letters are listed, in seconds"
    )
    stream_max_entries: int = Field(10_000, ge=10, le=10_000_000, description="changes kept in each stream")
    keep_stream_s: int = Field(86_400, ge=60, description="how long what happened can be read again, in seconds")

    http_host: str = Field("127.0.0.1", description="address of API, sockets, SSE and console under `up`")
    http_port: Port = Field(8000, description="port of the same")
    web_role: Literal["all", "http", "sockets"] = Field("all", description="http or sockets split them over processes")
    web_workers: int = Field(2, ge=1, le=64, description="gunicorn workers")
    body_max_bytes: int = Field(1_048_576, ge=1024, description="largest request body, in bytes")
    batch_body_max_bytes: int = Field(33_554_432, ge=1024, description="largest body with a batch's items, in bytes")
    function_wait_s: float = Field(10, ge=0, le=30, description="how long /api waits for a function, in seconds")
    cors_origins: Names = Field((), description="comma-separated origins that may call from a browser")
    socket_connections: int = Field(20_000, ge=1, description="sockets held by one process; more are answered 503")
    event_readers: int = Field(8_000, ge=1, description="readers of /events in one process; more are answered 503")
    socket_connects_per_s: float = Field(1_000, gt=0, description="sockets a process admits in a second; more get 503")
    socket_auth_s: Seconds = Field(10, description="how long a socket may take to say who it is, in seconds")
    socket_message_bytes: int = Field(262_144, ge=1024, description="largest message taken from a socket, in bytes")
    socket_messages_per_s: float = Field(100, gt=0, description="messages a socket may send in a second, on average")
    socket_queue_bytes: int = Field(1_048_576, ge=1024, description="a socket for which more waits is too slow")
    socket_write_s: Seconds = Field(10, description="a socket that takes nothing for so long is too slow, in seconds")
    socket_ping_s: Seconds = Field(25, description="a silent socket is asked after so long, in seconds")
    socket_subscriptions: int = Field(256, ge=1, le=10_000, description="channels that one socket may follow")
    socket_drain_s: float = Field(8, ge=0, le=25, description="a stopping process closes its sockets over so long")
    flower_port: Port = Field(5555, description="Flower's port")
    health_port: Port | None = Field(None, description="serve /health /ready /status /metrics from a worker")

    @model_validator(mode="before")
    @classmethod
    def _sockets_have_their_own_port(cls, values: dict[str, Any]) -> dict[str, Any]:
        if values.get("web_role") == "sockets":
            return {"http_port": 8010, **values}
        return values

    @model_validator(mode="after")
    def _rules_between_keys(self) -> Settings:
        problems = [*self._url_problems(), *self._limit_problems(), *self._production_problems()]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _url_problems(self) -> list[str]:
        problems = []
        known_schemes = {
            "broker_url": BROKER_SCHEMES,
            "redis_url": BROKER_SCHEMES[:4],
            "database_url": DATABASE_SCHEMES,
        }
        for key, schemes in known_schemes.items():
            value = getattr(self, key)
            # Only what surely is a scheme may be quoted: an address without one may be a pasted password.
            scheme = found[1] if (found := re.match(r"([a-z][a-z0-9+.-]*)://", value or "")) else ""
            if value is not None and scheme not in schemes:
                known = ", ".join(f"{s}://" for s in schemes)
                problems.append(f"{PREFIX}{key.upper()}: scheme {scheme!r} is not one of {known}")
            elif scheme.startswith("sqlite") and not SQLITE_FILE.match(value):
                problems.append(
                    f"{PREFIX}{key.upper()}: {scheme}:// needs a file, as in {scheme}:////srv/platform.db; "
                    "a database in memory is not shared by processes"
                )
        return problems

    def _limit_problems(self) -> list[str]:
        if 0 < self.time_limit_s <= self.soft_time_limit_s:
            return ["PLATFORM_SOFT_TIME_LIMIT_S: must be less than PLATFORM_TIME_LIMIT_S, or the job is never warned"]
        return []

    def _production_problems(self) -> list[str]:
        if self.env != "production":
            return []
        problems = []
        if self.debug:
            problems.append("PLATFORM_DEBUG: must be off in production")
        if not self.secret_keys:
            problems.append("PLATFORM_SECRET_KEYS: must be set in production (config generate makes one)")
        if any(len(key.get_secret_value()) < MIN_SECRET_CHARS for key in self.secret_keys):
            problems.append(f"PLATFORM_SECRET_KEYS: every key must have at least {MIN_SECRET_CHARS} characters")
        password = self.flower_password
        if password is None or len(password.get_secret_value()) < 12:
            problems.append("PLATFORM_FLOWER_PASSWORD: must be set in production, at least 12 characters")
        return problems

    @property
    def is_production(self) -> bool:
        return self.env == "production"


class Loaded(BaseModel):
    """Settings and where each value came from: ``default``, ``environment`` or the file's path."""

    model_config = ConfigDict(frozen=True)
    settings: Settings
    origins: dict[str, str]


def known_variables() -> list[str]:
    return [*(PREFIX + name.upper() for name in Settings.model_fields), CONFIG_FILE_VARIABLE]


def load(environ: Mapping[str, str] | None = None) -> Loaded:
    """Read, merge and check the settings; the environment wins over the file.

    A relative ``DATA_DIR`` is taken from the current folder and made absolute.
    Raises SettingsError naming every bad key, its rule and, for an unknown one, the nearest known key.
    """
    environ = os.environ if environ is None else environ
    file_values, file_origin = _read_file(environ.get(CONFIG_FILE_VARIABLE))
    env_values = _read_environment(environ)
    values = {**file_values, **env_values}
    try:
        settings = Settings(**values)
    except ValidationError as exc:
        raise SettingsError(_describe(exc, values)) from exc
    settings = settings.model_copy(update={"data_dir": settings.data_dir.expanduser().absolute()})
    origins = dict.fromkeys(Settings.model_fields, "default")
    origins |= dict.fromkeys(file_values, file_origin) | dict.fromkeys(env_values, "environment")
    return Loaded(settings=settings, origins=origins)


@cache
def settings() -> Settings:
    """This process's settings, loaded on first use; ``DATA_DIR`` is there from then on. Raises SettingsError."""
    config = load().settings
    try:
        config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise SettingsError(
            f"{PREFIX}DATA_DIR={config.data_dir}: cannot be made ({exc.strerror}); name a folder"
        ) from exc
    return config


def _read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    names = {n: n.removeprefix(PREFIX).lower() for n in environ if n.startswith(PREFIX) and n != CONFIG_FILE_VARIABLE}
    _refuse_unknown(names, "the environment")
    return {name: environ[variable] for variable, name in names.items()}


def _read_file(path: str | None) -> tuple[dict[str, Any], str]:
    if not path:
        return {}, ""
    try:
        with Path(path).open("rb") as file:
            table = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as exc:
        raise SettingsError(f"{CONFIG_FILE_VARIABLE}={path}: {exc}; give the path of a readable TOML file") from exc
    names = {key: key.removeprefix(PREFIX).lower() for key in table}
    _refuse_unknown(names, path)
    return {name: _from_toml(table[key]) for key, name in names.items()}, path


def _from_toml(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _refuse_unknown(names: Mapping[str, str], where: str) -> None:
    known = Settings.model_fields
    problems = [
        f"{written}: unknown setting in {where}{did_you_mean(PREFIX + name.upper(), known_variables())}"
        for written, name in sorted(names.items())
        if name not in known
    ]
    if problems:
        raise SettingsError("\n".join(problems))


def is_secret(name: str, field: FieldInfo) -> bool:
    """Whether a value must never be shown: declared secret, or a URL that may carry a password."""
    return SecretStr in _leaves(field.annotation) or name.endswith("_url")


def _leaves(annotation: Any) -> set[Any]:
    if get_origin(annotation) is None:
        return {annotation}
    return set().union(*(_leaves(arg) for arg in get_args(annotation)))


def _describe(exc: ValidationError, values: Mapping[str, Any]) -> str:
    lines = []
    for error in exc.errors(include_url=False, include_context=False, include_input=False):
        if not error["loc"]:
            lines.append(error["msg"].removeprefix("Value error, "))
            continue
        name = str(error["loc"][0])
        shown = "**" if is_secret(name, Settings.model_fields[name]) else repr(values.get(name))
        lines.append(f"{PREFIX}{name.upper()}={shown}: {error['msg'][:1].lower()}{error['msg'][1:]}")
    return "\n".join(lines)
