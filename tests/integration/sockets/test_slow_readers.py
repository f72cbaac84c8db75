"""A reader that is slow gets everything or is cut off; what it gets is whole, and nobody else notices."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from itertools import count
from typing import Any

import httpx2
import pytest

from tests.integration.conftest import Shop
from tests.integration.sockets.conftest import Client, Connect, Inside, on_its_way, token_of
from tests.integration.sockets.rawclient import CLOSE, RawClient
from tests.processes import Web
from tests.waiting import eventually

WRITE_S = 2.0
QUEUE_BYTES = 1_000_000
#: More than the kernel keeps on the way to somebody who does not read, and less than may wait in the process.
SOME_BYTES = 900_000
LARGE_BYTES = 8_000_000

Slow = Callable[..., RawClient]
Join = Callable[[Web, str], Client]


@pytest.fixture(scope="module")
def shop_web(shop: Shop) -> Web:
    """It cuts off soon."""
    return shop.start_web(socket_write_s=WRITE_S, socket_queue_bytes=QUEUE_BYTES)


@pytest.fixture(scope="module")
def patient_web(shop: Shop) -> Web:
    return shop.start_web(
        socket_write_s=60, socket_queue_bytes=64_000_000, socket_message_bytes=2 * LARGE_BYTES, socket_ping_s=120
    )


@pytest.fixture(scope="module")
def ann(shop: Shop, shop_web: Web) -> httpx2.Client:
    return shop.caller(shop_web)


@pytest.fixture
def room() -> str:
    return f"room-{secrets.token_hex(4)}"


@pytest.fixture
def slow(ann: httpx2.Client) -> Iterator[Slow]:
    """A member of a room that reads only when it is told to: ``slow(web, room)``."""
    with ExitStack() as held:

        def join(web: Web, room: str, window_bytes: int | None = None, **more: Any) -> RawClient:
            client = held.enter_context(RawClient(web.port, window_bytes))
            client.shake_hands(authorization=f"Bearer {token_of(ann)}")
            assert client.read().message["type"] == "connected"
            assert client.ask({"type": "subscribe", "room": room, **more})["type"] == "subscribed"
            return client

        yield join


@pytest.fixture
def fast(join: Connect, ann: httpx2.Client) -> Join:
    def make(web: Web, room: str) -> Client:
        client = join(ann, web=web)
        client.follow(room=room)
        return client

    return make


def messages(number: int, size_bytes: int) -> list[dict[str, Any]]:
    return [{"n": n, "text": "x" * size_bytes} for n in range(number)]


def tell(prompt: Client, inside: Inside, room: str, said: Sequence[Any]) -> list[Any]:
    """Say it, one thing after the other has been heard by who reads at once; what was heard. Nobody else is waited for.

    Said all at once, it could be too much even for a reader whose thread has no turn for a moment.
    """
    heard = []
    for data in said:
        inside.publish(room, data)
        heard += [frame["data"] for frame in prompt.told(1)]
    return heard


def read_to_its_end(client: RawClient) -> tuple[list[Any], int | None]:
    """What was said in the room as far as it came, each frame whole; the close code, None for a lost connection."""
    found: list[Any] = []
    with suppress(ConnectionError):
        while (frame := client.read()).opcode != CLOSE:
            found.append(frame.message["data"])
        return found, frame.code
    return found, None


def test_who_reads_late_reads_everything_in_its_order(
    patient_web: Web, slow: Slow, fast: Join, inside: Inside, room: str
) -> None:
    late, prompt = slow(patient_web, room), fast(patient_web, room)
    said = messages(3_000, 2_000)
    inside.publish(room, *said)
    assert [frame["data"] for frame in prompt.told(3_000)] == said
    frames = [late.read().message for _ in range(3_000)]
    assert [frame["data"] for frame in frames] == said
    assert late.ask({"type": "ping"}) == {"type": "pong"}


def test_a_frame_of_8_mb_is_whole_also_for_who_reads_it_late(
    ann: httpx2.Client, patient_web: Web, slow: Slow, fast: Join, join: Connect, room: str
) -> None:
    late, prompt, speaker = slow(patient_web, room), fast(patient_web, room), join(ann, web=patient_web)
    data = {"noise": secrets.token_hex(LARGE_BYTES // 2)}
    speaker.say(type="publish", room=room, data=data)
    speaker.say(type="publish", room=room, data="behind")
    assert [frame["data"] for frame in prompt.told(2)] == [data, "behind"]
    assert [late.read().message["data"] for _ in range(2)] == [data, "behind"]


def test_a_frame_larger_than_all_that_may_wait_makes_nobody_slow(
    shop_web: Web, slow: Slow, fast: Join, inside: Inside, room: str
) -> None:
    late, prompt = slow(shop_web, room), fast(shop_web, room)
    said = [secrets.token_hex(LARGE_BYTES // 2), *range(5)]
    assert tell(prompt, inside, room, said) == said
    assert [late.read().message["data"] for _ in range(6)] == said


def test_any_amount_of_history_is_told_at_the_pace_of_its_reader(
    shop_web: Web, slow: Slow, inside: Inside, room: str
) -> None:
    said = messages(60, 100_000)
    inside.publish(room, *said)
    reader = slow(shop_web, room, window_bytes=4_096, since=0)
    assert [reader.read().message["data"] for _ in range(60)] == said
    inside.publish(room, "live")
    assert reader.read().message["data"] == "live"


def test_what_is_said_while_history_is_read_is_told_at_that_pace_too(
    shop_web: Web, slow: Slow, fast: Join, inside: Inside, room: str
) -> None:
    prompt = fast(shop_web, room)
    said = messages(120, 100_000)
    tell(prompt, inside, room, said[:60])
    reader = slow(shop_web, room, window_bytes=4_096, since=0)
    tell(prompt, inside, room, said[60:])
    assert [reader.read().message["data"] for _ in range(120)] == said


def test_for_whom_too_much_waits_is_cut_off_with_4008_behind_whole_frames(
    shop_web: Web, slow: Slow, fast: Join, inside: Inside, room: str
) -> None:
    late, prompt = slow(shop_web, room), fast(shop_web, room)
    said = messages(40, 100_000)
    assert tell(prompt, inside, room, said) == said
    found, code = read_to_its_end(late)
    assert found == said[: len(found)]
    assert len(found) < 40
    assert code == 4008


def test_who_never_reads_is_cut_off_in_time_and_nothing_of_its_stays_behind(
    shop_web: Web, slow: Slow, fast: Join, inside: Inside, room: str
) -> None:
    late, prompt = slow(shop_web, room), fast(shop_web, room)
    said = messages(9, SOME_BYTES // 9)
    inside.publish(room, *said)
    began = time.monotonic()
    assert eventually(lambda: on_its_way(shop_web, late.port))
    numbers = count()
    while on_its_way(shop_web, late.port) is not None:
        inside.publish(room, f"meanwhile {next(numbers)}")
    assert WRITE_S <= time.monotonic() - began < WRITE_S + 4
    told = prompt.told(9 + next(numbers))
    assert [frame["data"] for frame in told[:9]] == said
    assert [frame["data"] for frame in told[9:]] == [f"meanwhile {n}" for n in range(len(told) - 9)]
    found, _ = read_to_its_end(late)
    assert found == said[: len(found)]


def test_who_answers_no_ping_is_let_go_and_nothing_of_its_stays_behind(
    shop: Shop, slow: Slow, inside: Inside, room: str
) -> None:
    web = shop.start_web(socket_ping_s=1)
    silent = slow(web, room, window_bytes=4_096)
    inside.publish(room, "x" * 100_000)  # the kernel takes it all, and the peer does not
    assert eventually(lambda: on_its_way(web, silent.port))
    assert eventually(lambda: on_its_way(web, silent.port) is None)


def test_what_was_lost_by_being_slow_is_told_after_coming_back(
    shop_web: Web,
    slow: Slow,
    fast: Join,
    inside: Inside,
    room: str,
    join: Connect,
    ann: httpx2.Client,
) -> None:
    late, prompt = slow(shop_web, room), fast(shop_web, room)
    told = messages(40, 100_000)
    [first] = inside.publish(room, told[0])
    prompt.told(1)
    tell(prompt, inside, room, told[1:])
    found, _ = read_to_its_end(late)
    back = join(ann)
    last = inside.publish(room, "last")[0]
    begun = back.follow(room=room, since={"epoch": last.epoch, "offset": first.offset})
    assert begun["recovered"]
    rest = back.told(40)
    assert [frame["data"]["n"] for frame in rest[:39]] == list(range(1, 40))
    assert rest[39]["data"] == "last"
    assert found


def test_a_reader_of_events_that_never_reads_is_cut_off_in_time(
    ann: httpx2.Client, shop_web: Web, fast: Join, inside: Inside, room: str
) -> None:
    prompt = fast(shop_web, room)
    with RawClient(shop_web.port, window_bytes=4_096) as late:
        late.send(f"GET /events?room={room}&token={token_of(ann)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        late.lines(until=b"data: ")
        tell(prompt, inside, room, messages(40, 100_000))
        assert on_its_way(shop_web, late.port)
        assert eventually(lambda: on_its_way(shop_web, late.port) is None, WRITE_S + 4)
