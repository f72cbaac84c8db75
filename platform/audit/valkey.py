"""The Valkey or Redis servers: do they keep what they are given, have they room, may they be used as they must be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from packaging.version import InvalidVersion, Version

from platform.audit.finding import Finding, error, note, warning
from platform.audit.servers import Server
from platform.audit.subject import Subject

OLDEST_REDIS = Version("6.2")
FULL, NEARLY_FULL = 0.95, 0.8
MANY_CLIENTS = 0.8
FAR_S = 0.01


def away(subject: Subject) -> Iterator[Finding]:
    for found in subject.away:
        yield error(
            "broker-away" if "broker" in found.place.role else "record-store-away",
            f"{found.place.role} {found.place.address} does not answer: {found.reason}",
            "nothing is accepted and nothing runs; it was not examined further",
            "start it, or correct PLATFORM_BROKER_URL and PLATFORM_REDIS_URL; then run this again",
        )


def persistence(subject: Subject) -> Iterator[Finding]:
    for server in subject.servers:
        if server.info.get("aof_enabled"):
            yield from _log_synced(server)
        elif not server.settings:
            yield warning(
                "no-append-only-file",
                f"{server.role} keeps no append-only file; whether it saves snapshots it does not tell",
                "a restart loses the jobs and records since the last snapshot, or all of them",
                "switch on the append-only file in the provider's settings",
            )
        elif server.settings.get("save"):
            yield warning(
                "snapshots-only",
                f"{server.role} keeps snapshots alone (save {server.settings['save']})",
                "a crash loses every job and record since the last one",
                "CONFIG SET appendonly yes, and the same in its configuration file",
            )
        else:
            yield error(
                "persistence-off",
                f"{server.role} keeps nothing on disk (appendonly no, save empty)",
                "a restart loses every job, record and lease",
                "CONFIG SET appendonly yes, and the same in its configuration file",
            )


def _log_synced(server: Server) -> Iterator[Finding]:
    if server.settings.get("appendfsync") == "no":
        yield warning(
            "append-only-file-not-synced",
            f"{server.role} leaves it to the system when its file reaches the disk (appendfsync no)",
            "a machine that dies loses up to half a minute of jobs",
            "CONFIG SET appendfsync everysec",
        )


def persistence_failing(subject: Subject) -> Iterator[Finding]:
    states = ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")
    for server in subject.servers:
        for state in states:
            if server.info.get(state, "ok") != "ok":
                yield error(
                    "persistence-failing",
                    f"{server.role} could not write to its disk ({state}: {server.info[state]})",
                    "what it holds is not on disk, and it may refuse every write",
                    "free space on its disk, then BGREWRITEAOF",
                )


def eviction(subject: Subject) -> Iterator[Finding]:
    for server in subject.servers:
        policy, limit = server.info.get("maxmemory_policy", "noeviction"), int(server.info.get("maxmemory", 0))
        evicted = int(server.info.get("evicted_keys", 0))
        if policy == "noeviction":
            continue
        if evicted:
            yield error(
                "keys-evicted",
                f"{server.role} has thrown away {evicted} keys since it started",
                "among them may have been queues, leases and records: such jobs are gone without a trace",
                "CONFIG SET maxmemory-policy noeviction, and more maxmemory; compare jobs ls with what you expect",
            )
        elif limit:
            yield error(
                "eviction",
                f"{server.role} throws keys away when its memory is full (maxmemory-policy {policy})",
                "queues, leases and records are such keys: jobs disappear without a trace",
                "CONFIG SET maxmemory-policy noeviction, and the same in its configuration file",
            )
        else:
            yield note(
                "eviction-prepared",
                f"{server.role} has maxmemory-policy {policy}, and no maxmemory yet",
                "as soon as somebody sets maxmemory, jobs may disappear without a trace",
                "CONFIG SET maxmemory-policy noeviction",
            )


def memory(subject: Subject) -> Iterator[Finding]:
    for server in subject.servers:
        limit = int(server.info.get("maxmemory", 0)) or int(server.info.get("total_system_memory", 0))
        part = int(server.info.get("used_memory", 0)) / limit if limit else 0.0
        if part > NEARLY_FULL:
            severe = error if part > FULL else warning
            yield severe(
                "memory-full",
                f"{server.role} uses {part:.0%} of its memory",
                "when it is full, every submission is refused and running jobs cannot be recorded",
                "more memory, or lower PLATFORM_KEEP_COMPLETED_S and PLATFORM_KEEP_FAILED_S",
            )


def connections(subject: Subject) -> Iterator[Finding]:
    for server in subject.servers:
        clients, most = int(server.info.get("connected_clients", 0)), int(server.info.get("maxclients", 0))
        if most and clients > MANY_CLIENTS * most:
            yield warning(
                "many-connections",
                f"{server.role} has {clients} of at most {most} connections",
                "the next worker or web process is refused",
                "CONFIG SET maxclients 10000, or fewer processes",
            )
        if refused := int(server.info.get("rejected_connections", 0)):
            yield warning(
                "connections-refused",
                f"{server.role} has refused {refused} connections since it started",
                "workers and callers were turned away with 'max number of clients reached'",
                "CONFIG SET maxclients 10000, or fewer processes",
            )
        if idle_s := int(server.settings.get("timeout", 0)):
            yield warning(
                "idle-connections-closed",
                f"{server.role} closes connections that are silent for {idle_s} s",
                "waiting workers and sockets lose theirs again and again, and what they were told meanwhile",
                "CONFIG SET timeout 0; dead connections are noticed by tcp-keepalive",
            )
        if server.settings.get("tcp-keepalive") == "0":
            yield note(
                "server-without-keepalive",
                f"{server.role} does not notice connections whose other end vanished (tcp-keepalive 0)",
                "they add up until maxclients is reached",
                "CONFIG SET tcp-keepalive 300",
            )


def kind(subject: Subject) -> Iterator[Finding]:
    for server in subject.servers:
        if server.info.get("cluster_enabled"):
            yield error(
                "cluster",
                f"{server.role} is a cluster",
                "the transport follows no redirections: commands for another shard's keys fail",
                "use a single primary, with Sentinel for its failure",
            )
        if server.info.get("role") == "slave":
            yield error(
                "is-replica",
                f"{server.role} is a replica of {server.info.get('master_host')}",
                "it takes no writes, so nothing can be submitted or recorded",
                "name the primary, or sentinel:// addresses, in PLATFORM_BROKER_URL and PLATFORM_REDIS_URL",
            )
        if _is_old(server.info):
            yield error(
                "server-too-old",
                f"{server.role} is Redis {server.info.get('redis_version')}",
                f"leases need commands of Redis {OLDEST_REDIS}",
                "use Valkey 8 or later, or Redis 7 or later",
            )
        if subject.config.is_production and server.info.get("role") == "master" and not _replicas(server):
            yield note(
                "no-replica",
                f"{server.role} has no replica",
                "when its machine is lost, so is everything it held",
                "add a replica, and Sentinel to change over to it",
            )


def rights(subject: Subject) -> Iterator[Finding]:
    for server in subject.servers:
        if server.refuses_writes:
            yield error(
                "writes-refused",
                f"{server.role} refuses a script's write: {server.refuses_writes}",
                "nothing can be submitted or recorded",
                f"let its user run scripts and write keys that begin with {{{subject.config.key_prefix}}}:",
            )
        if server.missing_commands:
            yield error(
                "commands-missing",
                f"{server.role} has no {', '.join(name.upper() for name in server.missing_commands)}",
                "they were renamed or disabled, and the platform's scripts and the transport need them",
                "take their rename-command lines out of its configuration, and use ACL rules in their place",
            )
        if not server.settings:
            yield note(
                "server-hides-its-settings",
                f"{server.role} does not let this user run CONFIG GET",
                "persistence and idle timeouts were judged by INFO alone",
                "ACL SETUSER … +config|get, or look at its settings yourself",
            )
        if _is_open(server.settings):
            yield error(
                "server-open",
                f"{server.role} listens on {server.settings.get('bind') or 'every address'} without a password",
                "whoever reaches it reads every argument and result, and submits any task",
                "set requirepass (or ACL users), bind to private addresses, and name the password in the URL",
            )


def distance(subject: Subject) -> Iterator[Finding]:
    for server in subject.servers:
        if server.ping_s > FAR_S:
            yield warning(
                "server-far",
                f"{server.role} takes {server.ping_s * 1000:.0f} ms to answer PING",
                "each job needs several answers, one after the other",
                "run workers and web near it; look for slow commands with SLOWLOG GET",
            )


def _is_old(info: dict[str, Any]) -> bool:
    if "valkey_version" in info:
        return False
    try:
        return Version(str(info.get("redis_version", "0"))) < OLDEST_REDIS
    except InvalidVersion:
        return False


def _replicas(server: Server) -> int:
    return int(server.info.get("connected_slaves", 0))


def _is_open(settings: dict[str, str]) -> bool:
    if not settings or settings.get("requirepass") or settings.get("protected-mode") != "no":
        return False
    local = {"127.0.0.1", "::1", "-::1"}
    return settings.get("port") != "0" and not set((settings.get("bind") or "*").split()) <= local


CHECKS = (
    *(away, persistence, persistence_failing, eviction, memory, connections),
    *(kind, rights, distance),
)
