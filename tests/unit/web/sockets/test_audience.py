from __future__ import annotations

import weakref
from typing import Any

import gevent
import pytest

from platform.documents.filters import parsed
from platform.streams.event import of_change
from platform.streams.names import View
from tests.changes import change
from web.sockets import audience
from web.sockets.audience import Audience, runs_of
from web.sockets.outgoing import Burst, Outgoing
from web.sockets.topics import Device, Documents, Room

LOBBY = Room("shop", "lobby")


class Ear:
    """Remembers what it was pushed."""

    def __init__(self) -> None:
        self.frames: list[Outgoing] = []
        self.pushed: list[int] = []
        self.bursts: list[Burst] = []
        self.restarted: list[str] = []

    def push(self, burst: Burst) -> None:
        self.frames += burst.frames
        self.pushed.append(len(burst.frames))
        self.bursts.append(burst)

    def restart(self, why: str) -> None:
        self.restarted.append(why)

    @property
    def heard(self) -> list[int]:
        return [frame.offset for frame in self.frames]


def frame(offset: int, text: str = "{}") -> Outgoing:
    return Outgoing(LOBBY.told, offset, text)


def tell(told: Audience, *offsets: int) -> None:
    for offset in offsets:
        told.tell([frame(offset)])


@pytest.fixture
def room() -> Audience:
    return Audience(LOBBY)


@pytest.fixture
def ear() -> Ear:
    return Ear()


def test_all_followers_are_told_the_same_frame_once(room: Audience) -> None:
    ears = [Ear(), Ear()]
    for ear in ears:
        room.enter(ear)
        room.admit(ear, 0)
    said = frame(5)
    room.tell([said])
    room.tell([frame(5)])
    room.tell([frame(4)])
    assert [ear.frames for ear in ears] == [[said], [said]]


def test_a_newcomer_hears_nothing_before_it_is_admitted_and_then_what_it_has_not_read(room: Audience, ear: Ear) -> None:
    room.enter(ear)
    tell(room, 1, 2, 3)
    assert ear.heard == []
    room.admit(ear, 2)
    assert ear.heard == [3]
    tell(room, 4)
    assert ear.heard == [3, 4]


def test_who_read_further_than_the_others_were_told_is_not_told_that_again(room: Audience, ear: Ear) -> None:
    first = Ear()
    room.enter(first)
    room.admit(first, 0)
    tell(room, 1)
    room.enter(ear)
    room.admit(ear, 3)
    tell(room, 2, 3, 4)
    assert first.heard == [1, 2, 3, 4]
    assert ear.heard == [4]
    tell(room, 5)
    assert ear.heard == [4, 5]


def test_newcomers_with_different_floors_are_promoted_one_after_the_other(room: Audience) -> None:
    ears = {floor: Ear() for floor in (1, 2, 3)}
    for floor, ear in ears.items():
        room.enter(ear)
        room.admit(ear, floor)
    tell(room, 1, 2, 3, 4)
    assert {floor: ear.heard for floor, ear in ears.items()} == {1: [2, 3, 4], 2: [3, 4], 3: [4]}
    assert not room.newcomers


def test_what_is_told_together_is_pushed_together_and_each_hears_what_it_does_not_know(room: Audience) -> None:
    ears = {floor: Ear() for floor in (0, 1, 3, 4, 9)}
    for floor, ear in ears.items():
        room.enter(ear)
        room.admit(ear, floor)
    reads = Ear()
    room.enter(reads)
    room.tell([frame(1), frame(2)])
    room.tell([frame(2), frame(3), frame(4)])
    room.admit(reads, 2)
    heard = {floor: ear.heard for floor, ear in ears.items()}
    assert heard == {0: [1, 2, 3, 4], 1: [2, 3, 4], 3: [4], 4: [], 9: []}
    assert reads.heard == [3, 4]
    assert ears[0].pushed == [2, 2]
    assert set(room.newcomers) == {ears[4], ears[9]}


def test_newcomers_from_anywhere_before_are_given_the_same_piece(
    room: Audience, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[float] = []
    monkeypatch.setattr(gevent, "sleep", turns.append)
    ears = [Ear() for _ in range(audience.TURN - 1)]
    for floor, ear in enumerate(ears, 1):
        room.enter(ear)
        room.admit(ear, floor)
    room.tell([frame(1_000), frame(1_001)])
    assert [ear.heard for ear in ears] == [[1_000, 1_001]] * len(ears)
    assert len({id(burst) for ear in ears for burst in ear.bursts}) == 1
    assert not turns, "each of them waited for its turn"


def test_who_left_is_kept_by_nobody(room: Audience) -> None:
    ear = Ear()
    gone = weakref.ref(ear)
    room.add(ear)
    tell(room, 1)
    room.leave(ear)
    del ear
    assert gone() is None


def test_who_left_while_it_is_told_and_came_again_hears_it_once(
    room: Audience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "TURN", 1)
    ears = [Ear() for _ in range(4)]
    for ear in ears:
        room.add(ear)
    teller = gevent.spawn(tell, room, 1)
    gevent.sleep(0)
    unheard = next(ear for ear in ears if not ear.heard)
    room.leave(unheard)
    room.enter(unheard)
    unheard.push(Burst([frame(1)]))  # it reads that in the history
    room.admit(unheard, 1)
    teller.join()
    tell(room, 2)
    assert [ear.heard for ear in ears] == [[1, 2]] * 4


def test_for_whom_too_many_frames_were_kept_reads_on_from_there(
    room: Audience, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "MOST_KEPT", 3)
    newcomer = room.enter(ear)
    tell(room, 1, 2, 3)
    assert not newcomer.is_behind
    tell(room, 4, 5)
    assert newcomer.is_behind
    assert newcomer.frames == []
    newcomer.begin_again()
    tell(room, 6)
    assert not newcomer.is_behind
    room.admit(ear, 5)
    assert ear.heard == [6]


def test_so_it_is_when_few_that_are_kept_are_large(room: Audience, ear: Ear) -> None:
    newcomer = room.enter(ear)
    room.tell([frame(1, "x" * audience.MOST_KEPT_CHARS)])
    assert not newcomer.is_behind
    room.tell([frame(2, "x")])
    assert newcomer.is_behind


def test_what_has_no_place_is_told_every_time_also_to_who_waits_for_its_floor(ear: Ear) -> None:
    device = Audience(Device("app:shop:user:ann:device:phone"))
    device.add(ear)
    tell(device, 0, 0)
    assert ear.heard == [0, 0]
    room, other = Audience(LOBBY), Ear()
    room.enter(other)
    room.admit(other, 5)
    tell(room, 0)
    assert other.heard == [0]


def test_who_left_hears_nothing_whether_it_was_a_newcomer_or_not(room: Audience) -> None:
    newcomer, waits, follower = Ear(), Ear(), Ear()
    for ear in (newcomer, waits, follower):
        room.enter(ear)
    room.admit(follower, 0)
    room.admit(waits, 9)
    for ear in (newcomer, waits, follower):
        room.leave(ear)
        room.leave(ear)
    tell(room, 1, 10)
    assert newcomer.heard == waits.heard == follower.heard == []
    assert room.is_empty


def test_a_follower_that_leaves_and_another_that_comes_change_who_is_told(room: Audience) -> None:
    old, new = Ear(), Ear()
    room.add(old)
    tell(room, 1)
    room.leave(old)
    room.add(new)
    tell(room, 2)
    assert (old.heard, new.heard) == ([1], [2])


def test_many_followers_are_told_in_turns_and_who_comes_meanwhile_hears_each_frame_once(
    room: Audience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "TURN", 2)
    ears = [Ear() for _ in range(5)]
    for ear in ears:
        room.add(ear)
    late = Ear()
    room.enter(late)
    teller = gevent.spawn(tell, room, 1, 2)
    gevent.sleep(0)
    assert 0 < sum(len(ear.heard) for ear in ears) < 10
    room.admit(late, 0)
    teller.join()
    assert [ear.heard for ear in [*ears, late]] == [[1, 2]] * 6


def test_everybody_is_told_to_come_again_newcomers_too(room: Audience) -> None:
    ears = [Ear(), Ear()]
    room.add(ears[0])
    room.enter(ears[1])
    room.restart("forgotten")
    assert [ear.restarted for ear in ears] == [["forgotten"], ["forgotten"]]


def test_holding_says_from_where_the_rest_is_to_be_read(room: Audience) -> None:
    assert room.held is None
    room.hold(7)
    assert (room.held, room.certain) == ([], 7)


# -- entries of streams


def entry(version: int, **more: Any) -> dict[str, str]:
    fields = of_change(change(version, **more)).fields()
    return dict(zip(fields[::2], fields[1::2], strict=True))


def documents(filter: dict[str, Any] | None = None, **view: str) -> Audience:
    return Audience(Documents("app:shop:model:task", View("shop", "task", **view), parsed(filter) if filter else None))


def test_an_entry_is_told_under_the_name_that_was_asked_for() -> None:
    mine = Audience(Documents("app:shop:model:task", View("shop", "task", user_id="ann")))
    told = mine.frame_of(5, entry(1))
    assert told is not None
    assert (told.channel, told.offset) == ("app:shop:model:task", 5)
    assert '"event":"model_created"' in told.text
    assert told.text.endswith('"channel":"app:shop:model:task","offset":5}')


@pytest.mark.parametrize(("view", "is_told"), [({}, True), ({"id": "d1"}, True), ({"id": "d2"}, False),
                                               ({"user_id": "ann"}, True), ({"user_id": "bob"}, False)])  # fmt: skip
def test_only_what_is_in_the_view_is_told(view: dict[str, str], is_told: bool) -> None:
    assert (documents(**view).frame_of(1, entry(1)) is not None) is is_told


@pytest.mark.parametrize(
    ("filter", "told"),
    [
        ({"n": {"$gte": 0}}, '"event":"model_updated"'),
        ({"n": 2}, '"entered":true'),
        ({"n": 1}, '"left":true'),
        ({"n": 3}, None),
    ],
)
def test_a_filter_decides_how_it_is_told(filter: dict[str, Any], told: str | None) -> None:
    found = documents(filter).frame_of(1, entry(2))
    assert (found is None) if told is None else (found is not None and told in found.text)


def test_a_rooms_entry_is_told_as_a_message(room: Audience) -> None:
    told = room.frame_of(9, {"event": "message", "data": '{"a":1}', "room": "lobby"})
    assert told is not None
    assert told.text == ('{"event":"message","room":"lobby","data":{"a":1},"channel":"app:shop:room:lobby","offset":9}')


def test_what_a_process_is_told_is_read() -> None:
    message = (
        '[{"frame":{"event":"message","data":1},"channel":"c","offset":3,"epoch":"e","groups":["c"]},'
        '{"reread":true,"channel":"c","offset":4,"epoch":"e","groups":["c","f@c"]},'
        '{"frame":{"event":"x","data":2},"channel":"d","groups":["d"]}]'
    )
    [told], [reread], [direct] = runs_of([message.encode()], 1_000)
    assert (bytes(told.frame), told.offset, told.reread) == (b'{"event":"message","data":1}', 3, False)
    assert (reread.reread, reread.offset, reread.groups) == (True, 4, ["c", "f@c"])
    assert (direct.offset, direct.channel) == (0, "d")


def said(channel: str, *texts: str) -> bytes:
    items = [
        f'{{"frame":"{text}","channel":"{channel}","offset":{len(text)},"groups":["{channel}"]}}' for text in texts
    ]
    return f"[{','.join(items)}]".encode()


def test_what_is_for_the_same_groups_is_together_until_it_is_too_much() -> None:
    messages = [said("a", "1", "22"), said("a", "333"), said("b", "1"), said("a", "x" * 90, "y" * 20, "z")]
    runs = [(run[0].groups, [item.offset for item in run]) for run in runs_of(messages, 100)]
    assert runs == [(["a"], [1, 2, 3]), (["b"], [1]), (["a"], [90]), (["a"], [20, 1])]
