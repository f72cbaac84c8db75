"""Readers of streams while everything happens, and what they make of the frames: every version of every document."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from platform.settings import Settings
from platform.store import connect
from platform.streams.delivery import Position, Streams
from platform.streams.history import Histories
from tests.changes import replayed
from tests.chaos.deployment import Deployment

POLL_S = 0.3

Frame = dict[str, Any]
#: A document's id to its versions, the first one first.
Versions = dict[str, list[dict[str, Any]]]


def histories_of(deployment: Deployment) -> Histories:
    """A reader of the deployment's streams; one for each thread."""
    config = settings_of(deployment)
    return Histories(Streams(connect(deployment.records.url, config, timeout_s=20), config))


def settings_of(deployment: Deployment) -> Settings:
    """The deployment's, for this process."""
    known = {name: value for name, value in deployment.settings.items() if name in Settings.model_fields}
    return Settings(**{**known, "imports": ()})


class Reader(threading.Thread):
    """Follows a channel from its beginning, each time from where it stands; ``frames`` are what it was told."""

    def __init__(self, deployment: Deployment, channel: str):
        super().__init__(name=f"reader of {channel}", daemon=True)
        self.channel = channel
        self.frames: list[Frame] = []
        self.errors: list[str] = []
        self.reads = 0
        self._histories = histories_of(deployment)
        self._since: Position | int = 0
        self._stopping = threading.Event()

    def run(self) -> None:
        try:
            while not self._stopping.wait(POLL_S):
                self._read()
            self._read()
        except Exception as exc:  # shown by the test
            self.errors.append(repr(exc))

    def stop(self) -> list[str]:
        """Read to the end; what went wrong, then or before."""
        self._stopping.set()
        self.join(120)
        return self.errors

    def _read(self) -> None:
        is_complete = False
        while not is_complete:
            read = self._histories.read(self.channel, self._since)
            assert read.recovered, f"something is gone before {read.offset}"
            frames = [json.loads(frame.text) for frame in read.frames]
            offsets = [*([self.frames[-1]["offset"]] if self.frames else []), *(frame["offset"] for frame in frames)]
            assert offsets == sorted(set(offsets)), "offsets do not grow"
            self.frames += frames
            self._since, is_complete = Position(read.epoch, read.offset), read.is_complete
            self.reads += 1


def frames_of(histories: Histories, channel: str) -> list[Frame]:
    """All that is told to who comes late."""
    found: list[Frame] = []
    since: Position | int = 0
    while True:
        read = histories.read(channel, since)
        assert read.recovered
        found += [json.loads(frame.text) for frame in read.frames]
        if read.is_complete:
            return found
        since = Position(read.epoch, read.offset)


def is_resync(frame: Frame) -> bool:
    return frame["event"] == "model_updated" and any(operation["path"] == [] for operation in frame["data"])


def versions_of(frames: Iterable[Frame]) -> Versions:
    """Every document's versions as the frames make them. Fails where one is missing, twice or not in its turn."""
    found: Versions = defaultdict(list)
    for frame in frames:
        line = found[frame["id"]]
        assert frame["version"] == len(line) + 1, f"{frame} came after version {len(line)}"
        document = replayed(line[-1] if line else None, frame)
        assert document is not None
        assert document["version"] == frame["version"]
        line.append(document)
    return found
