"""Where a benchmark runs: a folder of its own and the platform's embedded Valkey in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

import tasks  # noqa: F401 - first: it makes `platform` complete
from platform import embedded


@dataclass(frozen=True)
class Place:
    folder: Path
    modules: Path
    url: str
    client: redis.Redis

    @property
    def environment(self) -> dict[str, str]:
        """What every process here is told; a URL holds the password, so it is never an argument."""
        urls = {"BENCH_VALKEY_URL": self.url, "RQ_REDIS_URL": self.url}
        return urls | {"PYTHONPATH": str(self.modules), "TMPDIR": str(self.folder)}

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


@contextmanager
def temporary() -> Iterator[Place]:
    """A fresh folder with a running Valkey; server and folder are gone afterwards.

    ``modules`` holds a link to this package and nothing else: the checkout itself on a peer's path would
    give it our ``platform`` instead of the standard library's.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        modules = folder / "modules"
        modules.mkdir()
        (modules / "bench").symlink_to(Path(__file__).resolve().parent)
        try:
            url = embedded.ensure_running(folder).url
            with redis.Redis.from_url(url) as client:
                yield Place(folder, modules, url, client)
        finally:
            embedded.stop(folder)
