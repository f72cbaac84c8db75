"""Publishing to ``bench/systems/node/server.cjs``."""

from bench.systems.work import valkey

DISTRIBUTIONS = ("redis",)


def publish(room: str, text: str) -> None:
    valkey().publish(f"room:{room}", text)
