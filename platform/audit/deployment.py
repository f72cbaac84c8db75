"""The platform's own settings: what may be right on a laptop and is dangerous elsewhere."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from platform import endpoints
from platform.audit.finding import Finding, error, note, warning
from platform.audit.subject import Subject
from platform.settings import MIN_SECRET_CHARS, PREFIX

MIN_CHARACTERS = 10
GUESSABLE = ("secret", "password", "changeme", "change-me", "change_me", "example", "default", "12345", "qwerty")
MIN_PASSWORD_CHARS = 12
LONG_LEASE_S = 60
SHORT_LEASE_S = 4
MANY_DEATHS = 10
#: What Kubernetes and systemd wait for a worker to stop, unless told otherwise, in seconds.
KUBERNETES_GRACE_S, SYSTEMD_GRACE_S = 30, 90
#: From the end of the shutdown timeout until a worker has given back what it held.
GIVING_BACK_S = 5
LARGE_RESULT_BYTES = 16 * 1024 * 1024
LONG_SESSION_S = 30 * 24 * 3600


def open_to_the_network(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if config.is_production or _is_loopback(config.http_host):
        return
    yield warning(
        "development-on-the-network",
        f"PLATFORM_HTTP_HOST is {config.http_host} and PLATFORM_ENV is development",
        "the API and Flower are open to other machines, while missing secrets and weak passwords are forgiven",
        "PLATFORM_ENV=production, which insists on them, or PLATFORM_HTTP_HOST=127.0.0.1 behind a proxy",
    )
    if config.debug:
        yield error(
            "debug-on-the-network",
            "PLATFORM_DEBUG is on",
            "tracebacks with values of variables are shown to other machines",
            "PLATFORM_DEBUG=false",
        )


def secrets(subject: Subject) -> Iterator[Finding]:
    keys = [key.get_secret_value() for key in subject.config.secret_keys]
    if any(len(key) < MIN_SECRET_CHARS for key in keys):
        yield warning(
            "secret-short",
            f"a key in PLATFORM_SECRET_KEYS has less than {MIN_SECRET_CHARS} characters",
            "who guesses it signs sessions and tokens of any user; production refuses it",
            "put a new key first in PLATFORM_SECRET_KEYS; config generate makes one",
        )
    if any(_is_guessable(key) for key in keys):
        severe = error if subject.config.is_production else warning
        yield severe(
            "secret-guessable",
            "a key in PLATFORM_SECRET_KEYS is a word or repeats itself",
            "who guesses it signs sessions and tokens of any user",
            "put a new key first in PLATFORM_SECRET_KEYS; config generate makes one",
        )
    password = subject.config.flower_password
    if password is not None and len(password.get_secret_value()) < MIN_PASSWORD_CHARS:
        yield warning(
            "flower-password-short",
            f"PLATFORM_FLOWER_PASSWORD has less than {MIN_PASSWORD_CHARS} characters",
            "Flower shows the arguments of tasks and can stop workers; production refuses it",
            f"set at least {MIN_PASSWORD_CHARS} characters, or leave it empty to have one made",
        )


def in_production(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if not config.is_production:
        return
    if endpoints.database_url(config).startswith("sqlite"):
        yield warning(
            "sqlite-in-production",
            "the database is SQLite",
            f"one writer at a time: each of the {config.web_workers} web workers stops all its requests while it "
            "waits for another's write",
            "PLATFORM_DATABASE_URL=postgresql://…",
        )
    if endpoints.uses_embedded(config):
        yield warning(
            "embedded-valkey-in-production",
            "the embedded Valkey is in use",
            "it serves this machine alone, has no replica, and may lose its last second when the machine dies",
            "PLATFORM_BROKER_URL=redis://… of a server with a replica, or amqp://… and PLATFORM_REDIS_URL",
        )


def passwords_of_servers(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    given = {"BROKER_URL": config.broker_url, "REDIS_URL": config.redis_url, "DATABASE_URL": config.database_url}
    for name, address in given.items():
        for url in (address or "").split(";"):
            yield from _of_url(f"{PREFIX}{name}", url, is_production=config.is_production)


def _of_url(name: str, url: str, *, is_production: bool) -> Iterator[Finding]:
    parts = urlsplit(url)
    if not parts.hostname or _is_loopback(parts.hostname):
        return
    if not parts.password:
        severe = error if is_production else warning
        yield severe(
            "server-without-password",
            f"{name} names another machine without a password",
            "whoever reaches that server reads every argument and result, and submits any task",
            f"set a password there and in {name}",
        )
    if unquote(parts.username or "") == "guest" and parts.password == "guest":  # noqa: S105 - looked for, not used
        yield warning(
            "guest-account",
            f"{name} signs in as guest",
            "RabbitMQ's first account has every right and a password everybody knows",
            f"make a user of its own with rights on one virtual host, and name it in {name}",
        )
    if is_production and parts.scheme in ("redis", "amqp"):
        yield note(
            "server-in-clear",
            f"{name} is not encrypted",
            "arguments, results and the password can be read on the way",
            f"{parts.scheme}s:// in {name}, unless the network is private",
        )


def leases(subject: Subject) -> Iterator[Finding]:
    ttl_s = subject.config.lease_ttl_s
    if subject.is_redis and ttl_s < SHORT_LEASE_S:
        yield warning(
            "lease-short",
            f"PLATFORM_LEASE_TTL_S is {ttl_s:g}",
            "a worker that swaps or waits for a slow disk is taken for dead, and its running jobs start a second time",
            "PLATFORM_LEASE_TTL_S=8",
        )
    if subject.is_redis and ttl_s > LONG_LEASE_S:
        yield warning(
            "lease-long",
            f"PLATFORM_LEASE_TTL_S is {ttl_s:g}",
            "the jobs of a worker that died wait that long before another one takes them",
            "PLATFORM_LEASE_TTL_S=8",
        )
    if subject.config.max_deaths == 1:
        yield warning(
            "one-death-is-enough",
            "PLATFORM_MAX_DEATHS is 1",
            "every job that was running on a machine that fails is put aside, not run again",
            "PLATFORM_MAX_DEATHS=3",
        )
    if subject.config.max_deaths > MANY_DEATHS:
        yield warning(
            "many-deaths",
            f"PLATFORM_MAX_DEATHS is {subject.config.max_deaths}",
            "a job that kills its worker kills that many, and everything they run, before it is put aside",
            "PLATFORM_MAX_DEATHS=3",
        )


def patience(subject: Subject) -> Iterator[Finding]:
    """Times that belong together: whoever waits must wait longer than what it waits for."""
    config = subject.config
    if config.lease_ttl_s <= config.broker_timeout_s:
        yield warning(
            "lease-below-timeout",
            f"PLATFORM_LEASE_TTL_S ({config.lease_ttl_s:g}) is not above PLATFORM_BROKER_TIMEOUT_S "
            f"({config.broker_timeout_s:g})",
            "one heartbeat that waits for a slow server outlasts the lease: the worker is taken for dead, and its "
            "running jobs start a second time",
            f"PLATFORM_LEASE_TTL_S={max(8, 4 * config.broker_timeout_s):g}, or a shorter PLATFORM_BROKER_TIMEOUT_S",
        )
    if config.watchdog_s < config.lease_ttl_s:
        yield warning(
            "watchdog-hasty",
            f"PLATFORM_WATCHDOG_S ({config.watchdog_s:g}) is below PLATFORM_LEASE_TTL_S ({config.lease_ttl_s:g})",
            "a worker learns that its broker is away only when its lease is over; until then the watchdog takes it "
            "for deaf and ends it, and every other worker",
            f"PLATFORM_WATCHDOG_S={max(60, 4 * config.lease_ttl_s):g}",
        )


def shutdown(subject: Subject) -> Iterator[Finding]:
    timeout_s = subject.config.shutdown_timeout_s
    if timeout_s > KUBERNETES_GRACE_S - GIVING_BACK_S:
        wanted = f"{timeout_s + 15:g}"
        systemd = f"; TimeoutStopSec={wanted} under systemd" if timeout_s > SYSTEMD_GRACE_S - 15 else ""
        yield note(
            "shutdown-outlasts-its-grace",
            f"PLATFORM_SHUTDOWN_TIMEOUT_S is {timeout_s:g}, and Kubernetes kills after {KUBERNETES_GRACE_S} s "
            "unless told otherwise",
            "a worker killed while it stops gives its jobs back only when its lease is over, and each counts as a "
            "death of its job; `up` waits long enough by itself",
            f"terminationGracePeriodSeconds: {wanted} for workers on Kubernetes{systemd}",
        )
    if timeout_s == 0:
        yield warning(
            "shutdown-at-once",
            "PLATFORM_SHUTDOWN_TIMEOUT_S is 0",
            "every restart, and each rolling update, cuts the running jobs off, to run again from their beginning",
            "PLATFORM_SHUTDOWN_TIMEOUT_S=25",
        )


def sizes(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if config.result_max_bytes > LARGE_RESULT_BYTES:
        yield warning(
            "large-results",
            f"PLATFORM_RESULT_MAX_BYTES is {config.result_max_bytes}",
            "results are kept in the record store's memory, and each read of one stops that server for its length",
            "store large results in files or an object store and return their address",
        )
    if config.session_ttl_s > LONG_SESSION_S:
        yield note(
            "long-sessions",
            f"PLATFORM_SESSION_TTL_S is {config.session_ttl_s // 86_400} days",
            "a copied cookie is good until then, or until its user is disabled",
            "PLATFORM_SESSION_TTL_S=43200",
        )


def exposure(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if "*" in config.cors_origins:
        yield warning(
            "any-origin",
            "PLATFORM_CORS_ORIGINS is *",
            "any page a user opens may read what the API answers to that user's browser",
            "name the origins: PLATFORM_CORS_ORIGINS=https://app.example.com",
        )
    data_dir = config.data_dir.resolve()
    for root in config.files_roots:
        if data_dir.is_relative_to(root.expanduser().resolve()):
            yield error(
                "secrets-readable-as-files",
                f"PLATFORM_FILES_ROOTS has {root}, which holds PLATFORM_DATA_DIR",
                "whoever may submit jobs reads signing keys and passwords through the Files provider",
                "name only folders with the users' files, or move PLATFORM_DATA_DIR out of it",
            )


def ports(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    taken = Counter(port for port in (config.http_port, config.flower_port, config.health_port) if port)
    for port, uses in taken.items():
        if uses > 1:
            yield error(
                "ports-clash",
                f"port {port} is named {uses} times among PLATFORM_HTTP_PORT, _FLOWER_PORT and _HEALTH_PORT",
                "only the first of them starts",
                "give each a port of its own",
            )
    if config.health_port and config.workers > 1:
        yield warning(
            "one-health-port",
            f"PLATFORM_HEALTH_PORT is set for {config.workers} workers on one machine",
            "only one of them gets the port; the others' health is not seen",
            "PLATFORM_WORKERS=1 with a higher PLATFORM_WORKER_CONCURRENCY, or watch /ready of the web",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_guessable(key: str) -> bool:
    return len(set(key)) < MIN_CHARACTERS or any(word in key.lower() for word in GUESSABLE)


CHECKS = (
    *(open_to_the_network, secrets, in_production, passwords_of_servers),
    *(leases, patience, shutdown, sizes, exposure, ports),
)
