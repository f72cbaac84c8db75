"""``broker_transport_options``: kombu reads the names it knows and ignores the rest in silence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from platform import transport
from platform.audit.finding import Finding, error, warning
from platform.audit.subject import Subject
from platform.errors import did_you_mean

#: Read by kombu beside ``Channel.from_transport_options``: by its connection, its Redis transport, its event loop.
READ_ELSEWHERE = {
    *("max_retries", "interval_start", "interval_step", "interval_max", "connect_retries_timeout", "errback"),
    *("polling_interval", "reauth_check_interval", "credential_provider", "client_name", "queue_tags"),
}
#: What the platform relies on being as it sets it.
STRUCTURE = ("priority_steps", "sep", "global_keyprefix", "lease")
MIN_CONNECTIONS = 20


def structure(subject: Subject) -> Iterator[Finding]:
    """Leases, scripts and priorities know the names of the lists; whoever renames them hides messages from workers."""
    if not subject.is_redis:
        return
    wanted = {"priority_steps": list(range(10)), "global_keyprefix": subject.queue_prefix}
    given = _options(subject)
    for name in STRUCTURE:
        if name in given and given[name] != wanted.get(name):
            yield error(
                "messages-hidden",
                f"broker_transport_options[{name!r}] is {given[name]!r}",
                "leases and the order of priorities rely on it: messages land in lists that no worker takes from",
                f"take {name!r} out of broker_transport_options",
            )


def unused(subject: Subject) -> Iterator[Finding]:
    if not subject.is_redis:
        return
    known = {*transport.SentinelChannel.from_transport_options, *READ_ELSEWHERE}
    for name in _options(subject):
        if name not in known:
            yield warning(
                "transport-option-unknown",
                f"broker_transport_options[{name!r}] is not an option{did_you_mean(name.lower(), known)}",
                "kombu ignores it in silence: what it should prevent will happen",
                "correct the name or take it out",
            )


def visibility(subject: Subject) -> Iterator[Finding]:
    if subject.is_redis and "visibility_timeout" in _options(subject):
        yield warning(
            "visibility-timeout",
            "broker_transport_options['visibility_timeout'] is set",
            "leases stand in its place: workers ignore it, but a program that consumes without a lease would give "
            "back jobs that still run",
            "take it out; PLATFORM_LEASE_TTL_S says how soon a dead worker's jobs run elsewhere",
        )


def timeouts(subject: Subject) -> Iterator[Finding]:
    names = ("socket_timeout", "socket_connect_timeout") if subject.is_redis else ("read_timeout", "write_timeout")
    missing = [name for name in names if not _options(subject).get(name)]
    if missing:
        yield error(
            "no-socket-timeout",
            f"broker_transport_options lacks {' and '.join(missing)}",
            "a broker that is frozen, or a connection that a firewall forgot, hangs its callers for ever",
            f"broker_transport_options: set {missing[0]!r} to PLATFORM_BROKER_TIMEOUT_S or some seconds",
        )


def publishing(subject: Subject) -> Iterator[Finding]:
    given = _options(subject)
    if subject.is_redis and given.get("retry_on_timeout"):
        yield warning(
            "repeats-after-timeout",
            "broker_transport_options['retry_on_timeout'] is on",
            "a publish whose answer was late is done twice, callers wait twice as long, and publishing in batches "
            "is switched off by it",
            "take it out",
        )
    if not subject.is_redis and not given.get("confirm_publish"):
        yield error(
            "publishes-unconfirmed",
            "broker_transport_options['confirm_publish'] is off",
            "what RabbitMQ could not keep is lost, and its sender told it was sent",
            "broker_transport_options: leave confirm_publish True",
        )


def connections(subject: Subject) -> Iterator[Finding]:
    given = _options(subject)
    most = given.get("max_connections")
    if subject.is_redis and most is not None and most < MIN_CONNECTIONS:
        yield warning(
            "few-connections",
            f"broker_transport_options['max_connections'] is {most}",
            "it is a hard limit per process: acknowledgements fail with 'Too many connections' under load",
            f"take it out, or set at least {MIN_CONNECTIONS}",
        )
    if subject.is_redis and not given.get("socket_keepalive") and not _is_local_socket(subject):
        yield warning(
            "no-keepalive",
            "broker_transport_options['socket_keepalive'] is off",
            "a connection that a firewall or NAT forgot looks alive: its worker waits and takes nothing",
            "broker_transport_options: leave socket_keepalive True",
        )
    if subject.is_redis and given.get("fanout_prefix") is False:
        yield warning(
            "shared-broadcasts",
            "broker_transport_options['fanout_prefix'] is off",
            "remote control reaches the workers of every other Celery application on that server",
            "take it out",
        )


def _options(subject: Subject) -> dict[str, Any]:
    return subject.app.conf.broker_transport_options or {}


def _is_local_socket(subject: Subject) -> bool:
    return str(subject.app.conf.broker_url).startswith("valkey+socket")


CHECKS = (structure, unused, visibility, timeouts, publishing, connections)
