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
from tests.chaos.hearing import hearing_of, line_of, lines_of
from tests.chaos.listeners import RESTART, Crowd, Following, most_in_a_second
from tests.chaos.report import report, spread
from tests.chaos.sockets import Sockets
from tests.chaos.story import APP, CLIENTS, MOST_SHOWN, Story, crowd_of, publish, users_of
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
#: So many of those who were sent away are back within so many seconds after the first of them was.
BACK, BACK_S = 0.99, 15


def test_every_event_is_heard_once_whatever_dies(deploy: Callable[..., Deployment], scale: float, seed: int) -> None:
    deployment = deploy(WORKERS, concurrency=2, stream_max_entries=ALL, **SETTINGS)
    users = users_of(deployment)
    with Sockets(deployment) as sockets:
        crowd = crowd_of(sockets.port, users, seed)
        story = Story(deployment, sockets, crowd, CHANGES_PER_S, LASTING_S * scale, seed)
        story.happen(users)
        groups = {one.group.key: one.group for one in crowd.followed}
        hearing = story.hear(lines_of(histories_of(deployment), groups.values()), ALL)
    story.tell("sockets killed", hearing)
    story.hold(hearing)
    assert all(hearing.answers)


def test_who_missed_what_is_gone_is_told_so(deploy: Callable[..., Deployment], scale: float, seed: int) -> None:
    """And nobody else is: what is kept is too little for most of those who were away."""
    deployment = deploy(WORKERS, concurrency=2, stream_max_entries=FEW, **SETTINGS)
    users = users_of(deployment)
    with Sockets(deployment) as sockets:
        crowd = crowd_of(sockets.port, users, seed)
        witness = Witness(deployment, {one.group.key: one.group for one in crowd.followed}.values())
        witness.start()
        story = Story(deployment, sockets, crowd, SLOWLY_PER_S, LASTING_S * scale, seed)
        story.happen(users)
        hearing = story.hear(witness.lines, FEW)
        witness.stop()
    story.tell("sockets killed, little kept", hearing)
    assert witness.errors == []
    story.hold(hearing)
    assert hearing.answers.count(False) > 0, "nobody missed anything: this run has shown nothing"
    assert hearing.answers.count(True) > CLIENTS, "nobody came back in time: this run has shown nothing"


def test_a_rolling_restart_loses_and_repeats_nothing(deploy: Callable[..., Deployment], seed: int) -> None:
    """Everybody is sent away and told when to come back, so that they do not come all at once."""
    deployment = deploy(workers=0, stream_max_entries=ALL)
    ((_, key),) = users_of(deployment, 1)
    group = Group(room_channel(APP, ROOM))
    with Sockets(deployment) as sockets, ThreadPoolExecutor(1) as beside:
        crowd = Crowd(sockets.port, seed)
        for _ in range(LISTENERS):
            crowd.add(key, Following(group, {"room": ROOM}))
        crowd.start()
        eventually(lambda: crowd.is_caught_up, CONNECTING_S)
        before = len(crowd.connected_at)
        talking = beside.submit(publish, deployment, "talk", ROOM, MESSAGES_PER_S, TALKING_S, lasting_s=TALKING_S)
        eventually(lambda: len(crowd.followed[0].offsets) > 2 * MESSAGES_PER_S, 60)
        sockets.reload()
        said = talking.result()
        histories, stream = histories_of(deployment), room_stream(APP, ROOM)
        line = line_of(lambda since: histories.read_other(stream, group.channel, since))
        hearing = hearing_of(crowd, {group.key: line}, line.offsets, ALL)
    began = min(crowd.ended_at)
    back_s = sorted(moment - began for moment in crowd.caught_up_at if moment > began)
    report(
        "rolling restart of sockets",
        f"{LISTENERS} clients, {said} messages, {hearing.summary()}",
        f"all sent away within {max(crowd.ended_at) - began:.1f} s, endings {dict(crowd.endings)}",
        f"{BACK:.0%} back after {back_s[int(BACK * LISTENERS) - 1]:.1f} s, all after {back_s[-1]:.1f} s",
        f"at most {most_in_a_second(crowd.connected_at[before:])} connects in a second",
        f"{crowd.not_let_in[503]} times 503",
        f"a client was away {spread(crowd.recoveries_s)}",
        f"seed {seed}",
    )
    assert crowd.errors == []
    assert len(line.offsets) == said
    assert (hearing.lost[:MOST_SHOWN], hearing.repeated, hearing.wrong[:MOST_SHOWN]) == ([], 0, [])
    assert crowd.endings == {RESTART: LISTENERS}
    assert set(crowd.not_let_in) <= {503}
    assert back_s[int(BACK * LISTENERS) - 1] < BACK_S
