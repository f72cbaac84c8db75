"""``celery -A platform up``: start, show, stay, stop."""

from __future__ import annotations

from contextlib import suppress
from itertools import takewhile
from typing import Any

from deploy.supervision import daemon, lifecycle, status
from deploy.supervision.errors import NotRunning
from deploy.supervision.place import Place
from deploy.supervision.programs import Program
from deploy.supervision.screen import BAD, Screen
from deploy.supervision.watch import StopRequest, Watch
from platform.settings import Settings, settings


def run(app: Any, detach: bool, screen: Screen) -> bool:
    """Run everything; whether all went well.

    Detached it returns once everything is ready, or has failed to be; what does run then stays.
    Otherwise it returns after a signal, or after somebody else's ``services stop``, and nothing is left.
    """
    config = settings()
    stop = StopRequest(config)
    with stop.listening():
        wanted = lifecycle.begin(config)
        screen.say(f"Starting the platform in {config.data_dir}")
        if detach:
            return _start(config, wanted, app, screen, stop) or _give_up(config, screen, stop)
        try:
            if _start(config, wanted, app, screen, stop) or not stop:
                screen.say("\n  Ctrl-C stops everything.\n")
                _stay(config, wanted, screen, stop)
        finally:
            with suppress(NotRunning):
                stop_everything(config, screen)
    return True


def stop_everything(config: Settings, screen: Screen) -> None:
    """Stop what runs, and show it. Raises NotRunning."""
    screen.stop(lifecycle.stop_everything(config))
    screen.say("Everything is stopped.")


def _start(config: Settings, wanted: list[Program], app: Any, screen: Screen, stop: StopRequest) -> bool:
    last = screen.start(takewhile(lambda _: not stop, lifecycle.starting(config, wanted, app)))
    if stop:
        return False
    place = Place(config.data_dir)
    screen.table(status.services(daemon.find(place), wanted, place))
    screen.addresses(config)
    return last is not None and not last.waiting


def _stay(config: Settings, wanted: list[Program], screen: Screen, stop: StopRequest) -> None:
    if Watch(wanted, Place(config.data_dir), screen).run(stop):
        screen.say("\nStopping: web, beat and Flower, then the workers, then Valkey. Ctrl-C again kills what is left.")
    else:
        screen.event("everything was stopped by another command")


def _give_up(config: Settings, screen: Screen, stop: StopRequest) -> bool:
    """A detached start that failed leaves the rest running; one that was interrupted leaves nothing."""
    if stop:
        stop_everything(config, screen)
    else:
        screen.say("\nNot everything is ready; it is tried again until `celery -A platform services stop`.", BAD)
    return False
