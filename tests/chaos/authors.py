"""Client threads that make documents and patch them over HTTP, and what is expected of each change."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

from tests.chaos.deployment import Deployment
from tests.waiting import eventually
from web.client import Client
from web.client.models import Accepted

MODEL = "task"
AREAS, NAMES = ("a", "b", "c/d"), ("x", "y", "z~", "")
#: One patch in so many is of one of the first documents, whose lines get long.
HOT, MOST_HOT = 0.25, 4
#: Of patches: those with a test that must fail, with a version that cannot be, with one that may be.
TESTED, IMPOSSIBLE, VERSIONED = 0.05, 0.02, 0.06
#: How long a client waits until a document it has made may be patched by all, in seconds.
CREATED_S = 90.0

Expected = Literal["completed", "refused", "either"]


@dataclass(frozen=True)
class Asked:
    """A change that was accepted; ``operations`` None: a new document."""

    job_id: str
    document_id: str
    operations: list[dict[str, Any]] | None = None
    if_version: int = 0
    expected: Expected = "completed"


@dataclass
class Authors:
    """One thread for each key; together they make ``documents`` and send ``patches``, in turns."""

    deployment: Deployment
    keys: Sequence[str]
    documents: int
    patches: int
    seed: int
    accepted: list[Asked] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def start(self) -> None:
        self._turns, self._every = count(), 1 + self.patches // self.documents
        self._ids: list[str] = []
        self._threads = [
            threading.Thread(target=self._write, args=(key, self.seed + n), name=f"author-{n}", daemon=True)
            for n, key in enumerate(self.keys)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def are_done(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def _write(self, key: str, seed: int) -> None:
        chance = random.Random(seed)
        try:
            with Client(self.deployment.web.url, api_key=key) as client:
                while (turn := next(self._turns)) < self._every * self.documents:
                    if turn % self._every == 0:
                        self._create(client, chance)
                    else:
                        eventually(lambda: self._ids, CREATED_S)
                        self._patch(client, chance)
        except Exception as exc:  # shown by the test
            self.errors.append(repr(exc))

    def _create(self, client: Client, chance: random.Random) -> None:
        details = {area: {name: some_value(chance) for name in chance.sample(NAMES, 2)} for area in AREAS}
        answer = client.model(MODEL).create({"title": f"t{chance.random()}", "tags": ["é"], "details": details})
        assert isinstance(answer, Accepted)
        self.accepted.append(Asked(answer.job_id, answer.id))
        client.jobs.wait(answer.job_id, CREATED_S)
        self._ids.append(answer.id)

    def _patch(self, client: Client, chance: random.Random) -> None:
        ids = self._ids[:MOST_HOT] if chance.random() < HOT else self._ids
        id, (operations, expected) = chance.choice(ids), some_operations(chance)
        if_version = 0
        if chance.random() < IMPOSSIBLE:
            if_version, expected = 10**6, "refused"
        elif chance.random() < VERSIONED:
            if_version = client.model(MODEL).get(id).version
            expected = "refused" if expected == "refused" else "either"
        answer = client.model(MODEL).patch(id, operations, if_version=if_version or None)
        assert isinstance(answer, Accepted)
        self.accepted.append(Asked(answer.job_id, id, operations, if_version, expected))


def some_operations(chance: random.Random) -> tuple[list[dict[str, Any]], Expected]:
    """One to three operations, and what comes of them: what others may have removed cannot be relied on."""
    operations = [_some_operation(chance) for _ in range(chance.randint(1, 3))]
    if chance.random() < TESTED:
        # Last, so that what was done before it has to be taken back.
        return [*operations, {"op": "test", "path": "/title", "value": "never"}], "refused"
    is_certain = all(one["op"] == "add" or one["path"].count("/") == 1 for one in operations)
    return operations, "completed" if is_certain else "either"


def some_value(chance: random.Random) -> Any:
    values = [None, True, 1, 1.5, -(2**53), "", "ß\u2028\\u0000", [], [1, [2, {}]], {"k": {"l": [None]}}, "x" * 200]
    return chance.choice([*values, chance.randint(-9, 9)])


def _some_operation(chance: random.Random) -> dict[str, Any]:
    area, name = chance.choice(AREAS).replace("/", "~1"), chance.choice(NAMES).replace("~", "~0")
    path = f"/details/{area}/{name}"
    return chance.choice(
        [
            *[{"op": "add", "path": path, "value": some_value(chance)}] * 4,
            {"op": "replace", "path": path, "value": some_value(chance)},
            {"op": "remove", "path": path},
            {"op": "replace", "path": "/n", "value": chance.randint(0, 10**6)},
            {"op": "replace", "path": "/title", "value": f"t{chance.random()}"},
            *[{"op": "add", "path": "/tags/-", "value": f"tag{chance.randint(0, 9)}"}] * 2,
            {"op": "remove", "path": "/tags/0"},
        ]
    )
