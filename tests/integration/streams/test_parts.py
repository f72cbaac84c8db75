"""Parts of streams that several read: from the store once, and for nobody otherwise than if it were read for each."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from platform.streams.delivery import Position, Streams
from platform.streams.history import Entries, Histories
from platform.streams.names import meta_key, other_stream
from web.sockets import parts
from web.sockets.parts import LEAST_ENTRIES, MOST_PARTS, Parts

ROOM = other_stream("room", "shop:lobby")
BEGINNING = Position("", 0)


@pytest.fixture
def shared(streams: Streams) -> Parts:
    return Parts(Histories(streams))


@pytest.fixture
def read_by(client: redis.Redis) -> Callable[[Callable[[], object]], int]:
    """How many scripts the store runs for a call."""

    def count(call: Callable[[], object]) -> int:
        client.config_resetstat()
        call()
        stats = client.info("commandstats")
        return sum(one["calls"] for name, one in stats.items() if name in ("cmdstat_evalsha", "cmdstat_eval"))

    return count


def say(streams: Streams, count: int, stream: str = ROOM) -> list[Position]:
    return [streams.append(stream, "message", n, channel="app:shop:room:lobby") for n in range(count)]


def offsets(found: Entries) -> list[int]:
    return [offset for offset, _ in found.kept]


def test_who_comes_back_together_is_read_for_once(
    streams: Streams, shared: Parts, read_by: Callable[[Callable[[], object]], int]
) -> None:
    places = say(streams, 2 * LEAST_ENTRIES)
    shared.entries(ROOM, BEGINNING)
    for since in (BEGINNING, places[0], places[5], places[-2]):
        alone = Histories(streams).entries(ROOM, since)
        assert read_by(lambda since=since: shared.entries(ROOM, since)) == 0
        together = shared.entries(ROOM, since)
        assert (together.kept, together.position, together.is_whole) == (alone.kept, alone.position, alone.is_whole)


def test_what_was_read_before_is_never_said_to_be_all(streams: Streams, shared: Parts) -> None:
    places = say(streams, LEAST_ENTRIES)
    assert shared.entries(ROOM, BEGINNING).is_complete
    [newer] = say(streams, 1)
    found = shared.entries(ROOM, BEGINNING)
    assert (found.is_complete, found.position.offset) == (False, places[-1].offset)
    rest = shared.entries(ROOM, found.position)
    assert (offsets(rest), rest.is_complete) == ([newer.offset], True)


def test_from_before_a_part_the_store_is_asked(streams: Streams, shared: Parts) -> None:
    places = say(streams, 2 * LEAST_ENTRIES)
    shared.entries(ROOM, places[10])
    assert offsets(shared.entries(ROOM, places[4])) == [place.offset for place in places[5:]]


def test_the_end_of_a_busy_stream_is_not_kept(
    streams: Streams, shared: Parts, read_by: Callable[[Callable[[], object]], int]
) -> None:
    say(streams, LEAST_ENTRIES - 1)
    shared.entries(ROOM, BEGINNING)
    assert read_by(lambda: shared.entries(ROOM, BEGINNING)) == 1


def test_a_place_of_another_epoch_is_not_whole(streams: Streams, shared: Parts) -> None:
    places = say(streams, LEAST_ENTRIES)
    shared.entries(ROOM, BEGINNING)
    found = shared.entries(ROOM, Position("another", places[0].offset))
    assert (found.is_whole, found.position.epoch) == (False, places[0].epoch)


def test_after_the_store_was_lost_nothing_of_before_is_told(
    streams: Streams, shared: Parts, client: redis.Redis
) -> None:
    places = say(streams, LEAST_ENTRIES)
    shared.entries(ROOM, BEGINNING)
    client.delete(meta_key(streams.prefix, ROOM))
    newer = say(streams, 1)
    found = shared.entries(ROOM, places[-1])
    assert (offsets(found), found.is_whole) == ([newer[0].offset], False)
    assert offsets(shared.entries(ROOM, BEGINNING)) == [newer[0].offset]


def test_another_streams_part_serves_nobody(streams: Streams, shared: Parts) -> None:
    say(streams, LEAST_ENTRIES)
    shared.entries(ROOM, BEGINNING)
    hall = other_stream("room", "shop:hall")
    assert offsets(shared.entries(hall, BEGINNING)) == []


def test_so_many_are_kept_and_none_that_nobody_wants_any_more(
    streams: Streams,
    shared: Parts,
    read_by: Callable[[Callable[[], object]], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rooms = [other_stream("room", f"shop:{n}") for n in range(MOST_PARTS + 1)]
    for room in rooms:
        say(streams, LEAST_ENTRIES, room)
        shared.entries(room, BEGINNING)
    shared.forget_old()
    assert read_by(lambda: shared.entries(rooms[-1], BEGINNING)) == 0
    assert read_by(lambda: shared.entries(rooms[0], BEGINNING)) == 1, "the oldest made room"
    monkeypatch.setattr(parts, "KEPT_S", -1.0)
    shared.forget_old()
    assert read_by(lambda: shared.entries(rooms[-1], BEGINNING)) == 1
