"""Who feeds whom: a line of stages up to ``write``, and behind it a tree of those that follow.

Filled when modules are imported, so every process that has imported the same modules has the same graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from platform.errors import did_you_mean
from platform.stages.stage import BadStage, Side, Stage

WRITE, ROUTE, DELIVER = "write", "route", "deliver"


class Graph:
    """Stages by their place; empty but for what ``begin`` puts there."""

    def __init__(self) -> None:
        self._stages: dict[str, Stage] = {}
        self._line: list[str] = []
        #: Of stages in the line: the one each was put directly behind.
        self._behind: dict[str, str] = {}
        self._followers: dict[str, list[str]] = {}

    def begin(self, write: Stage, route: Stage, deliver: Stage) -> None:
        """Put the three stages there that every change goes through."""
        for stage in (write, route, deliver):
            self._know(stage)
        self._line.append(write.name)
        self._followers = {write.name: [route.name], route.name: [deliver.name]}

    def add(self, stage: Stage, before: str | None = None, after: str | None = None) -> Stage:
        """Put a stage before, or after, stages that are there; several before one come in the order they were added.

        Returns the stage with its side. Raises BadStage.
        """
        if before is None and after is None:
            raise BadStage(f'stage {stage.name}: say where it is, before="{WRITE}" or after="{WRITE}"')
        for neighbour in (before, after):
            self._check_neighbour(stage.name, neighbour)
        if before is not None and self._is_in_line(before):
            return self._add_to_line(stage, before, after)
        if before is None and after is not None and self._is_in_line(after) and after != WRITE:
            return self._add_behind(stage, after)
        return self._add_to_tree(stage, before, after)

    # -- questions

    def first(self) -> Stage:
        """Where a change enters."""
        return self._stages[self._line[0]]

    def get(self, name: str) -> Stage:
        """Raises BadStage."""
        if name not in self._stages:
            hint = did_you_mean(name, self._stages) or f"; there are {', '.join(self._stages)}"
            raise BadStage(f"there is no stage {name!r}{hint}")
        return self._stages[name]

    def followers(self, name: str) -> list[Stage]:
        """The stages that get what this one passes on; each gets all of it."""
        if self._is_in_line(name) and name != WRITE:
            return [self._stages[self._line[self._line.index(name) + 1]]]
        return [self._stages[follower] for follower in self._followers.get(name, [])]

    def __iter__(self) -> Iterator[Stage]:
        """Every stage, those that feed before those that are fed."""
        yield from (self._stages[name] for name in self._line)
        waiting = list(self._followers.get(WRITE, []))
        while waiting:
            name = waiting.pop(0)
            yield self._stages[name]
            waiting = [*self._followers.get(name, []), *waiting]

    # -- plumbing

    def _check_neighbour(self, name: str, neighbour: str | None) -> None:
        if neighbour == name:
            raise BadStage(f"stage {name} cannot come before or after itself")
        if neighbour is None:
            return
        if neighbour not in self._stages:
            hint = did_you_mean(neighbour, self._stages) or f"; there are {', '.join(self._stages)}"
            raise BadStage(
                f"stage {name}: there is no stage {neighbour!r}{hint} (one of another module must be imported first)"
            )
        if neighbour in (ROUTE, DELIVER):
            raise BadStage(
                f'stage {name}: nothing comes between {WRITE}, {ROUTE} and {DELIVER}; write after="{WRITE}" to follow '
                f'what is stored, before="{WRITE}" to change or drop it'
            )

    def _know(self, stage: Stage) -> None:
        taken = self._stages.get(stage.name)
        if taken is not None:
            raise BadStage(f"there is a stage {stage.name!r} already, the task {taken.task}; choose another name")
        self._stages[stage.name] = stage

    def _is_in_line(self, name: str) -> bool:
        return name in self._line

    def _add_to_line(self, stage: Stage, before: str, after: str | None) -> Stage:
        at = self._line.index(before)
        if after is not None and not (self._is_in_line(after) and self._line.index(after) < at):
            raise BadStage(f"stage {stage.name}: a circle: {before} comes before {after} already")
        return self._insert(stage, at)

    def _add_behind(self, stage: Stage, after: str) -> Stage:
        at = self._line.index(after) + 1
        while self._behind.get(self._line[at]) == after:
            at += 1
        self._behind[stage.name] = after
        return self._insert(stage, at)

    def _insert(self, stage: Stage, at: int) -> Stage:
        stage = replace(stage, side=Side.BEFORE)
        self._know(stage)
        self._line.insert(at, stage.name)
        return stage

    def _add_to_tree(self, stage: Stage, before: str | None, after: str | None) -> Stage:
        feeder = after if before is None else self._feeder(before)
        if after is not None and after != feeder and after not in self._feeders(before):
            raise BadStage(f"stage {stage.name}: a circle: {before} does not come after {after}")
        self._know(stage)
        fed = self._followers.setdefault(str(feeder), [])
        if before is None:
            fed.append(stage.name)
        else:
            fed[fed.index(before)] = stage.name
            self._followers[stage.name] = [before]
        return stage

    def _feeder(self, name: str) -> str:
        return next(feeder for feeder, fed in self._followers.items() if name in fed)

    def _feeders(self, name: str | None) -> Iterable[str]:
        while name is not None and not self._is_in_line(name):
            name = self._feeder(name)
            yield name


#: This process's.
graph = Graph()


def batches() -> dict[str, int]:
    """Of how many changes one call of a stage takes, by its queue, where that is more than one."""
    return {stage.queue: stage.batch for stage in graph if stage.batch > 1}


def messages_per_slot(queues: Iterable[str], *, mixes: bool) -> int:
    """How many messages a worker of these queues may hold for each slot: the largest batch.

    ``mixes``: whether queues that gather may share a worker with others without harm. On Redis free slots say what is
    taken. RabbitMQ sends ahead what it may, and what is ahead in a worker is out of the order of priorities, so there
    a worker that serves other queues as well holds one for each slot, as ever.
    """
    sizes = batches()
    served = [sizes.get(queue, 1) for queue in queues]
    return max(served, default=1) if mixes or min(served, default=1) > 1 else 1
