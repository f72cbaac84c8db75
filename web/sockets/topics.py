"""What can be followed: where its history is, which group of the registry it belongs to, and its name for followers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from platform.documents.filters import Filter
from platform.routing.rooms import room_channel, room_stream
from platform.routing.subscriptions import Group
from platform.streams.delivery import Position
from platform.streams.history import LAST, position_of
from platform.streams.names import View


@dataclass(frozen=True)
class Documents:
    """Documents of a type. ``told`` is the channel asked for; ``view`` and ``filter`` are what may be seen of it."""

    told: str
    view: View
    filter: Filter | None = None

    @property
    def group(self) -> Group:
        return Group(self.view.channel, self.filter)

    @property
    def stream(self) -> str:
        return self.view.stream


@dataclass(frozen=True)
class Room:
    """A room of a tenant."""

    app_id: str
    name: str

    @property
    def told(self) -> str:
        return room_channel(self.app_id, self.name)

    @property
    def group(self) -> Group:
        return Group(self.told)

    @property
    def stream(self) -> str:
        return room_stream(self.app_id, self.name)


@dataclass(frozen=True)
class JobTopic:
    """A job: its record as it is, and each newer one."""

    app_id: str
    job_id: str

    kind: ClassVar = "job"

    @property
    def id(self) -> str:
        return self.job_id

    @property
    def told(self) -> str:
        return f"app:{self.app_id}:job:{self.job_id}"


@dataclass(frozen=True)
class BatchTopic:
    """A batch: its record as it is, and newer ones, ten a second at most."""

    app_id: str
    batch_id: str

    kind: ClassVar = "batch"

    @property
    def id(self) -> str:
        return self.batch_id

    @property
    def told(self) -> str:
        return f"app:{self.app_id}:batch:{self.batch_id}"


@dataclass(frozen=True)
class Device:
    """One device of a user: what is sent to it alone. Nothing of it is kept."""

    told: str

    @property
    def group(self) -> Group:
        return Group(self.told)

    @property
    def stream(self) -> str:
        return ""


Streamed = Documents | Room
#: Of these the last value alone is kept.
Watched = JobTopic | BatchTopic
Topic = Documents | Room | Watched | Device


@dataclass(frozen=True)
class Start:
    """Where a new follower stands, and whether nothing between that and what it had seen is forgotten."""

    position: Position
    recovered: bool


def check_place(topic: Topic, since: object) -> None:
    """Whether the topic can be followed from there, before anything is given up for it. Raises BadPosition.

    Documents have no last value here: what changed last is not what a document is.
    """
    if since is not None and not (since == LAST and not isinstance(topic, Documents)):
        position_of(since)
