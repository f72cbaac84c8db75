"""What is examined: a configuration, its app, and what the outside says; each asked once, on first use."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import click
from celery.exceptions import DuplicateTaskNameWarning

from platform import endpoints, registry, store, transport
from platform.audit import inspection, servers
from platform.audit.rabbit import Rabbit, look
from platform.audit.servers import Away, Server
from platform.leases import names
from platform.settings import Settings


@dataclass(frozen=True)
class Loading:
    """How loading every task module went: the problem if one could not be, and names taken twice."""

    problem: str = ""
    clashes: list[str] = field(default_factory=list)


class Subject:
    """``origins`` says of each setting where it came from (``platform.settings.Loaded``)."""

    def __init__(self, config: Settings, app: Any, origins: dict[str, str] | None = None):
        self.config = config
        self.app = app
        self.origins = origins or {}

    @cached_property
    def is_redis(self) -> bool:
        """Whether jobs wait in Redis or Valkey; else in RabbitMQ."""
        return endpoints.is_redis(endpoints.broker_url(self.config))

    @cached_property
    def loading(self) -> Loading:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", DuplicateTaskNameWarning)
            problem = _problem_of(self.app.load_everything)
        clashes = [str(one.message) for one in told if issubclass(one.category, DuplicateTaskNameWarning)]
        return Loading(problem, clashes)

    @cached_property
    def tasks(self) -> list[Any]:
        """Everybody's tasks but Celery's own, by name; as many as could be loaded."""
        _ = self.loading
        return [task for name, task in sorted(self.app.tasks.items()) if not name.startswith("celery.")]

    @cached_property
    def looked_at(self) -> list[Server | Away]:
        return servers.look(self.config)

    @property
    def servers(self) -> Iterator[Server]:
        return (found for found in self.looked_at if isinstance(found, Server))

    @property
    def away(self) -> Iterator[Away]:
        return (found for found in self.looked_at if isinstance(found, Away))

    @property
    def records(self) -> Server | None:
        """The record store, if it answers."""
        return next((server for server in self.servers if "record store" in server.role), None)

    @property
    def queues(self) -> Server | None:
        """The server that keeps the queues, if it is Redis and answers."""
        return next((server for server in self.servers if "broker" in server.role), None)

    @cached_property
    def rabbit(self) -> Rabbit | Away | None:
        """RabbitMQ, looked at; None where the broker is Redis."""
        return None if self.is_redis else look(self.app, self.config)

    @property
    def is_broker_there(self) -> bool:
        return self.queues is not None if self.is_redis else isinstance(self.rabbit, Rabbit)

    @cached_property
    def workers(self) -> list[dict[str, Any]]:
        """What living workers wrote about themselves (``platform.registry``); none while the store is away."""
        return registry.workers_in(self.records.client, self.config) if self.records else []

    @cached_property
    def answers(self) -> dict[str, inspection.Answer]:
        """What each worker's main process answers, by worker."""
        if not (self.workers and self.is_broker_there):
            return {}
        return inspection.ask(self.app, max(len(self.workers), len(self.living_leases)))

    @cached_property
    def leases(self) -> list[str]:
        """The incarnations of workers that hold jobs or may: the living, and the dead not yet rescued."""
        if self.queues is None:
            return []
        return sorted(cast(set[str], self.queues.client.smembers(names.everybody(self.queue_prefix))))

    @cached_property
    def living_leases(self) -> list[str]:
        client = self.queues.client if self.queues else None
        return [name for name in self.leases if client and client.exists(names.heartbeat(self.queue_prefix, name))]

    @property
    def record_prefix(self) -> str:
        return store.key_prefix(self.config)

    @property
    def queue_prefix(self) -> str:
        return transport.key_prefix(self.config)


def _problem_of(call: Any) -> str:
    """What a call raises, in words; empty if it does not."""
    try:
        call()
    except click.ClickException as exc:
        return exc.message
    except Exception as exc:  # noqa: BLE001 - a module may raise anything while it loads; the audit goes on without it
        return f"{type(exc).__name__}: {exc}"
    return ""
