"""What is running: one line per program, for people and for scripts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from deploy.supervision import record
from deploy.supervision.client import ENDED, Client, Info
from deploy.supervision.place import Place
from deploy.supervision.programs import Program


@dataclass(frozen=True)
class Service:
    """``state`` in supervisord's words, lower case; ``backoff`` is also what rests because it keeps dying.

    ``restarts`` counts those nobody asked for, since ``up``.
    """

    name: str
    pid: int | None
    state: str
    since: datetime | None
    restarts: int
    url: str | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def services(client: Client, programs: list[Program], place: Place) -> list[Service]:
    """The running programs in the order of starting. Raises NotRunning."""
    order = [program.name for program in programs]
    urls = {program.name: program.url for program in programs}
    known = record.load(place)
    restarts = {name: running.restarts for name, running in known.programs.items()} if known else {}
    infos = sorted(client.infos(), key=lambda info: order.index(info.name) if info.name in order else len(order))
    return [
        Service(info.name, info.pid, _state(info, place), info.since, restarts.get(info.name, 0), urls.get(info.name))
        for info in infos
    ]


def _state(info: Info, place: Place) -> str:
    if info.state not in ENDED:
        return info.state
    if place.is_held(info.name):
        return "stopped"
    if not info.was_started:
        return "starting"
    return "fatal" if info.state == "fatal" else "backoff"
