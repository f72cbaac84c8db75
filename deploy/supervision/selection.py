"""Which running programs a command is about."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.supervision import daemon, status
from deploy.supervision.client import Client
from deploy.supervision.errors import NotRunning
from deploy.supervision.place import Place
from deploy.supervision.programs import pick, programs
from deploy.supervision.status import Service
from platform.settings import Settings, settings


@dataclass(frozen=True)
class Selection:
    """The programs meant by NAME, or all of them, and the supervisor that runs them."""

    settings: Settings
    client: Client
    names: list[str]

    def services(self) -> list[Service]:
        place = Place(self.settings.data_dir)
        found = status.services(self.client, programs(self.settings), place)
        return [service for service in found if service.name in self.names]


def running(name: str | None) -> Selection:
    """The running programs of this DATA_DIR, under whatever settings they were started.

    Raises NotRunning; UnknownService also when nothing runs, for a typing error is the nearer one.
    """
    config = settings()
    try:
        client = daemon.find(Place(config.data_dir))
        names = [info.name for info in client.infos()]
    except NotRunning:
        configured(name, config)
        raise
    return Selection(config, client, pick(name, names) if name else names)


def configured(name: str | None, config: Settings) -> list[str]:
    """The programs of the settings, running or not. Raises UnknownService."""
    names = [program.name for program in programs(config)]
    return pick(name, names) if name else names
