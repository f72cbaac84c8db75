"""A front door that is closed and opened again on the same port, as a restart does it."""

from __future__ import annotations

from tests import processes
from tests.integration.conftest import Shop


class Door:
    """A real gunicorn of the shop's; ``url`` stays the same over all its lives."""

    def __init__(self, shop: Shop):
        self.port = processes.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._shop = shop
        self._lives = 0
        self.open()

    def open(self) -> None:
        env = processes.environment({**self._shop.settings, "http_port": self.port, "web_workers": 1})
        log = self._shop.folder / f"door-{self.port}-{self._lives}.log"
        self._web = processes.Web([], log, env | {"PYTHONPATH": str(self._shop.folder)}, self.port)
        self._lives += 1
        self._shop.programs.append(self._web)
        self._web.wait_until_ready()

    def close(self) -> None:
        """As ``systemctl stop`` does it: everybody is sent away with 1012."""
        assert self._web.stop() == 0, self._web.tail()

    def kill(self) -> None:
        """As the kernel does it when memory is short: nobody is told anything."""
        self._web.kill_group()
