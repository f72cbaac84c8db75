"""Clients of sockets whose servers are killed and restarted, and who leave and come back: each event once, or a true
word about what is gone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from platform.routing.rooms import room_channel, room_stream
from platform.routing.subscriptions import Group
from tests.chaos.deployment import Deployment
from tests.chaos.following import histories_of
from tests.chaos.hearing import Hearing, hearing_of, line_of, lines_of
from tests.chaos.listeners import RESTART, Crowd, Following, most_in_a_second
from tests.chaos.report import report, spread
from tests.chaos.sockets import Sockets
from tests.chaos.story import APP, MOST_SHOWN, Story, crowd_of, publish, users_of
from tests.chaos.witness import Witness
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(3600)

WORKERS = ["pipeline.write"] * 2 + ["pipeline.route,fanout"] * 2
SETTINGS = {"lease_ttl_s": 3, "shutdown_timeout_s": 0}
LASTING_S, CHANGES_PER_S = 30, 500
#: What is kept of a stream.
ALL, FEW = 10**6, 50
#: So many a second that a client which is away for seconds has missed more than that.
SLOWLY_PER_S = 40

LISTENERS, MESSAGES_PER_S, TALKING_S, CONNECTING_S = 2_000, 20, 25, 90
ROOM = "hall"
#: So many of those who were sent away are back within so many seconds after the first of them was; where the machine
#: has much else to do, in so many times as long as they took to come first.
BACK, BACK_S, BACK_TIMES = 0.99, 15, 2


def test_every_event_is_heard_once_whatever_dies(deploy: Callable[..., Deployment], scale: float, seed: int) -> None:
    deployment = deploy(WORKERS, concurrency=2, stream_max_entries=ALL, **SETTINGS)
    users = users_of(deployment)
    with Sockets(deployment) as sockets, crowd_of(sockets.port, users, seed) as crowd:
        story = Story(deployment, sockets, crowd, CHANGES_PER_S, LASTING_S * scale, seed)
        story.happen(users)
        groups = {one.group.key: one.group for one in crowd.followed}
        hearing = story.hear(lines_of(histories_of(deployment), groups.values()), ALL)
    story.tell("sockets killed", hearing)
    story.hold(hearing)
    assert all(hearing.returns)


def test_who_missed_what_is_gone_is_told_so(deploy: Callable[..., Deployment], scale: float, seed: int) -> None:
    """And nobody else is: what is kept is too little for most of those who were away."""
    deployment = deploy(WORKERS, concurrency=2, stream_max_entries=FEW, **SETTINGS)
    users = users_of(deployment)
    with Sockets(deployment) as sockets, crowd_of(sockets.port, users, seed) as crowd:
        witness = Witness(deployment, {one.group.key: one.group for one in crowd.followed}.values())
        witness.start()
        story = Story(deployment, sockets, crowd, SLOWLY_PER_S, LASTING_S * scale, seed)
        story.happen(users)
        hearing = story.hear(witness.lines, FEW)
        witness.stop()
    story.tell("sockets killed, little kept", hearing)
    assert witness.errors == []
    story.hold(hearing)
    assert set(hearing.returns) == {True, False}, "all came back alike: this run has shown nothing"


def test_a_rolling_restart_loses_and_repeats_nothing(deploy: Callable[..., Deployment], seed: int) -> None:
    """Everybody is sent away and told when to come back, so that they do not come all at once."""
    deployment = deploy(workers=0, stream_max_entries=ALL)
    ((_, key),) = users_of(deployment, 1)
    group = Group(room_channel(APP, ROOM))
    with Sockets(deployment) as sockets, Crowd(sockets.port, seed) as crowd:
        for _ in range(LISTENERS):
            crowd.add(key, Following(group, {"room": ROOM}))
        crowd.start()
        eventually(lambda: crowd.is_caught_up, CONNECTING_S)
        coming_s = crowd.caught_up_at[-1] - crowd.connected_at[0]
        said = talk_while_reloading(deployment, sockets, crowd)
        histories, stream = histories_of(deployment), room_stream(APP, ROOM)
        line = line_of(lambda since: histories.read_other(stream, group.channel, since))
        hearing = hearing_of(crowd, {group.key: line}, line.offsets, ALL)
    assert len(line.offsets) == said
    back_s = tell_return(crowd, hearing, coming_s, seed)
    assert crowd.errors == []
    assert (hearing.lost[:MOST_SHOWN], hearing.repeated, hearing.wrong[:MOST_SHOWN]) == ([], 0, [])
    assert crowd.endings == {RESTART: LISTENERS}
    assert set(crowd.not_let_in) <= {503}
    assert back_s < max(BACK_S, BACK_TIMES * coming_s)


def talk_while_reloading(deployment: Deployment, sockets: Sockets, crowd: Crowd) -> int:
    """Returns how many messages there were, when the last of them was said and the old processes have ended."""
    with ThreadPoolExecutor(1) as beside:
        talking = beside.submit(publish, deployment, "talk", ROOM, MESSAGES_PER_S, TALKING_S, lasting_s=TALKING_S)
        eventually(lambda: len(crowd.followed[0].offsets) > 2 * MESSAGES_PER_S, 60)
        sockets.reload()
        return int(talking.result())


def tell_return(crowd: Crowd, hearing: Hearing, coming_s: float, seed: int) -> float:
    """How long it took until nearly all were back, in seconds."""
    began = min(crowd.ended_at)
    back_s = sorted(moment - began for moment in crowd.caught_up_at if moment > began)
    nearly_all_s = back_s[int(BACK * LISTENERS) - 1]
    report(
        "rolling restart of sockets",
        f"{LISTENERS} clients, connected within {coming_s:.1f} s, {hearing.summary()}",
        f"all sent away within {max(crowd.ended_at) - began:.1f} s, endings {dict(crowd.endings)}",
        f"{BACK:.0%} back after {nearly_all_s:.1f} s, all after {back_s[-1]:.1f} s",
        f"at most {most_in_a_second([at for at in crowd.connected_at if at > began])} connects in a second, "
        f"{crowd.not_let_in[503]} times 503",
        f"a client was away {spread(crowd.recoveries_s)}",
        f"seed {seed}",
    )
    return nearly_all_s
