"""Changes of documents that clients follow while those who hold their sockets, and those who tell them, are killed."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from platform.documents.filters import parsed
from platform.routing.subscriptions import Group
from platform.streams.names import View
from tests.chaos.deployment import Deployment
from tests.chaos.following import histories_of
from tests.chaos.hearing import Hearing, Line, hearing_of
from tests.chaos.killer import Killer
from tests.chaos.listeners import LOST, RESTART, TOO_SLOW, Crowd, Following
from tests.chaos.publisher import MODEL, MOST_N, STATUSES, id_of
from tests.chaos.report import report, spread
from tests.chaos.sockets import SocketKiller, Sockets
from tests.processes import succeed
from tests.waiting import eventually

APP = "default"
CLIENTS, USERS, DOCUMENTS, FOLLOWED_DOCUMENTS = 200, 8, 200, 25
#: Of a hundred clients, so many follow the whole channel, a filter, one document, their own documents.
KINDS = {"whole": 5, "filter": 30, "document": 35, "own": 30}
#: From its connection to its leaving by its own wish, on average, in seconds.
STAY_S = 8.0
SOCKETS_LIVE_S, WORKERS_LIVE_S = (2.0, 6.0), (4.0, 9.0)
#: After the last change has been asked for all are told within this, in seconds.
TELLING_S = 90
#: Of what is lost or wrong, so much is shown.
MOST_SHOWN = 10
WHOLE = Group(View(APP, MODEL).channel)
ADD_USERS = """
import json, sys
import tasks
from platform.accounts import add_key, add_user
for n in range(int(sys.argv[1])):
    account = add_user(f"listener{n}@example.com", "user", "correct horse")
    print(json.dumps([account.id, add_key(f"listener{n}@example.com")]))
"""

#: The id and the key of an account.
User = tuple[str, str]


def users_of(deployment: Deployment, count: int = USERS) -> list[User]:
    """New ones."""
    found = (json.loads(line) for line in deployment.run(ADD_USERS, count).splitlines())
    return [(id, key) for id, key in found]


def publish(deployment: Deployment, act: str, *arguments: object, lasting_s: float = 0) -> Any:
    """Run a function of ``tests.chaos.publisher`` in a process of its own; what it returned."""
    program = [sys.executable, "-m", "tests.chaos.publisher", act, json.dumps(arguments)]
    said = succeed(*program, env=deployment.env(), timeout_s=lasting_s + 120)
    return json.loads(said.splitlines()[-1])


def crowd_of(port: int, users: Sequence[User], seed: int) -> Crowd:
    """Clients of each kind; half of them begin with what has happened already."""
    crowd, chance = Crowd(port, seed, STAY_S), random.Random(seed)
    for kind in chance.choices([*KINDS], [*KINDS.values()], k=CLIENTS):
        id, key = chance.choice(users)
        since = chance.choice([None, 0])
        crowd.add(key, *(following(view, filter, since) for view, filter in _wishes(kind, id, chance)))
    crowd.add(users[0][1], following(View(APP, MODEL), None, 0))
    return crowd


def _wishes(kind: str, user: str, chance: random.Random) -> list[tuple[View, dict[str, Any] | None]]:
    match kind:
        case "filter":
            narrow: dict[str, Any] = {"n": {"$gte": MOST_N - MOST_N // 10}}
            return [(View(APP, MODEL), chance.choice([narrow, {"status": chance.choice(STATUSES)}]))]
        case "document":
            numbers = chance.sample(range(FOLLOWED_DOCUMENTS), 2)
            return [(View(APP, MODEL, id_of(number)), None) for number in numbers]
        case "own":
            return [(View(APP, MODEL, user_id=user), None)]
    return [(View(APP, MODEL), None)]


def following(view: View, filter: dict[str, Any] | None, since: int | None) -> Following:
    channel = {"model": view.type, "id": view.id, "userId": view.user_id}
    wish: dict[str, Any] = {"channel": {name: value for name, value in channel.items() if value}}
    if filter is not None:
        wish["filter"] = filter
    return Following(Group(view.channel, parsed(filter) if filter else None), wish, since)


@dataclass
class Story:
    """``happen``, then ``hear``, then ``tell``."""

    deployment: Deployment
    sockets: Sockets
    crowd: Crowd
    per_s: float
    lasting_s: float
    seed: int
    made: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._killers = [
            Killer(self.deployment, self.seed, *WORKERS_LIVE_S),
            SocketKiller(self.deployment, self.sockets, self.seed + 1, *SOCKETS_LIVE_S),
        ]

    def happen(self, users: Sequence[User]) -> None:
        """Returns when all changes are made and told, nobody is killed any more, and no client leaves any more."""
        ids = [id for id, _ in users]
        publish(self.deployment, "create", ids, DOCUMENTS)
        self.crowd.start()
        eventually(lambda: len(self.crowd.caught_up_at) >= CLIENTS, 60)
        arguments = (ids, DOCUMENTS, self.per_s, self.lasting_s, self.seed)
        try:
            for killer in self._killers:
                killer.start()
            self.made = publish(self.deployment, "change", *arguments, lasting_s=self.lasting_s)
        finally:  # a killer starts what it kills
            for killer in self._killers:
                killer.stop()
        streams, count = histories_of(self.deployment).streams, DOCUMENTS + self.made["asked"]
        eventually(lambda: streams.counts().get("appended", 0) == count, TELLING_S, poll_s=0.3)
        self.crowd.calm_down()

    def hear(self, lines: Mapping[str, Line], kept: int) -> Hearing:
        """Against ``lines`` of all that the clients follow; then they leave."""
        return hearing_of(self.crowd, lines, lines[WHOLE.key].offsets, kept)

    def tell(self, name: str, hearing: Hearing) -> None:
        crowd, made = self.crowd, self.made
        reconnects = len(crowd.connected_at) - len(crowd.clients)
        report(
            name,
            f"{len(crowd.clients)} clients, {reconnects} reconnects, {crowd.left} of them wanted",
            f"{self.sockets.killed_processes} socket processes, {self.sockets.killed_servers} whole gunicorns and "
            f"{len(self.deployment.deaths)} workers killed",
            f"{made['asked']} changes asked for in {made['seconds']:.0f} s, {made['asked'] / made['seconds']:.0f}/s",
            hearing.summary(),
            f"recovery {spread(crowd.recoveries_s)}",
            f"endings {dict(crowd.endings)}, {crowd.not_let_in[503]} times 503, {crowd.unavailable} times unavailable",
            f"seed {self.seed}",
        )

    def hold(self, hearing: Hearing) -> None:
        assert [*self.crowd.errors, *(error for killer in self._killers for error in killer.errors)] == []
        assert hearing.lost[:MOST_SHOWN] == []
        assert hearing.repeated == 0
        assert hearing.wrong[:MOST_SHOWN] == []
        assert set(self.crowd.endings) <= {LOST, RESTART, TOO_SLOW}
        assert set(self.crowd.not_let_in) <= {503}
        assert self.sockets.killed_processes > 0
        assert self.deployment.deaths != []
