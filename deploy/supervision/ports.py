"""Whether the ports that the settings name are free."""

from __future__ import annotations

import errno
import socket
from contextlib import closing

from deploy.supervision.errors import PortTaken
from platform.settings import PREFIX, Settings

SEARCHED = 200


def check(settings: Settings) -> None:
    """Raise PortTaken with the setting, the port and what to do, for the first port that cannot be served on."""
    chosen = {"HTTP_PORT": settings.http_port, "FLOWER_PORT": settings.flower_port}
    for name, port in chosen.items():
        others = {other for key, other in chosen.items() if key != name}
        what = _problem(settings.http_host, port, port in others)
        if what:
            free = _next_free(settings.http_host, port, others)
            hint = f"set {PREFIX}{name} to a free one, such as {free}"
            raise PortTaken(f"{PREFIX}{name}={port}: {what}; {hint}")


def _problem(host: str, port: int, is_twice: bool) -> str:
    if is_twice:
        return "the API and Flower cannot share a port"
    if _answers(host, port):
        return f"another program is listening on that port of {host}"
    return _refusal(host, port)


def _answers(host: str, port: int) -> bool:
    """Whether a connection is accepted. macOS lets two programs bind where one of them serves all addresses."""
    target = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - recognised only
    try:
        with socket.create_connection((target, port), timeout=1):
            return True
    except OSError:
        return False


def _refusal(host: str, port: int) -> str:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
        try:
            probe.bind((host, port))
        except PermissionError:
            return "this user may not use that port"
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                return f"another program has that port of {host}"
            return f"{host} cannot be served on: {exc.strerror or exc}"
    return ""


def _next_free(host: str, port: int, others: set[int]) -> int:
    start = max(port, 1024)
    candidates = (candidate for candidate in range(start + 1, start + SEARCHED) if candidate not in others)
    return next((c for c in candidates if not _answers(host, c) and not _refusal(host, c)), start + SEARCHED)
