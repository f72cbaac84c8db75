"""A rolling restart: new code in every program, while the front door never closes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deploy.supervision import lifecycle, processes, trial
from deploy.supervision.client import Client, Info
from deploy.supervision.errors import StartFailed, UpdateRefused
from deploy.supervision.place import Place
from deploy.supervision.programs import STORE, Program, programs
from deploy.supervision.readiness import is_ready, until
from platform.settings import Settings

READY_TIMEOUT_S = 60.0


def update(client: Client, chosen: list[str], settings: Settings, app: Any, say: Callable[[str], None]) -> None:
    """Restart the chosen programs one after the other, each once the one before it is ready.

    Valkey has no code of ours and is left alone, and so are programs that were stopped. Workers come before
    the web, so that whatever the new web sends is known to them.
    Raises UpdateRefused, with nothing touched, if the new code cannot be loaded; StartFailed if a program
    does not come back, with those after it left as they were.
    """
    _try_out()
    place = Place(settings.data_dir)
    infos = {info.name: info for info in client.infos() if info.name in chosen and not place.is_held(info.name)}
    for program in programs(settings):
        info = infos.get(program.name)
        if info is None or program.group == STORE:
            continue
        say(f"updating {program.name}")
        if program.name == "web" and info.state == "running":
            _reload(client, info, settings)
        else:
            lifecycle.restart_some(client, [program.name], settings)
        _wait_until_ready(client, program, settings, app)


def _try_out() -> None:
    """gunicorn's master ends, and its old workers with it, when a new worker cannot import the application."""
    for what in trial.TRIALS:
        said = trial.complaint(what)
        if said is not None:
            raise UpdateRefused(f"nothing was restarted: {what} would not start with the new code: {said}")


def _reload(client: Client, info: Info, settings: Settings) -> None:
    """gunicorn starts new workers on the same port, and sends the old ones away when those have loaded the code."""
    before = _children(info)
    client.signal(info, "HUP")
    if not until(lambda: len(_children(info) - before) >= settings.web_workers, READY_TIMEOUT_S):
        raise StartFailed("web did not start new workers; see `celery -A platform services logs web`")
    until(lambda: not _children(info) & before, READY_TIMEOUT_S)  # those with open sockets may take their time


def _children(info: Info) -> set[int]:
    return {process.pid for process in processes.table().values() if process.parent == info.pid}


def _wait_until_ready(client: Client, program: Program, settings: Settings, app: Any) -> None:
    def is_back() -> bool:
        info = next(info for info in client.infos() if info.name == program.name)
        return is_ready(program, info, settings.data_dir, app)

    if not until(is_back, READY_TIMEOUT_S):
        raise StartFailed(f"{program.name} is not ready after its restart; see `celery -A platform services logs`")
