"""The one connection by which a process hears of its jobs: who is woken, and what becomes of it when it is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import redis

from platform.jobs.facts import NewJob
from platform.jobs.ledger import Ledger
from platform.settings import Settings
from tests.waiting import eventually
from web import waiting
from web.waiting import Listener


class Counter:
    """Anything with ``set`` is woken; this one counts."""

    def __init__(self, act: Callable[[], None] = lambda: None) -> None:
        self.count = 0
        self.act = act

    def set(self) -> None:
        self.count += 1
        self.act()


@pytest.fixture
def client(embedded: redis.Redis, redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as made:
        yield made


@pytest.fixture
def ledger(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    ledger = Ledger(client, Settings())
    monkeypatch.setattr(waiting, "ledger", lambda: ledger)
    return ledger


@pytest.fixture
def listen(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Listener]]:
    """Make a listener of a server; it ends with the test."""
    monkeypatch.setattr(waiting, "RECONNECT_S", 0.01)
    made: list[Listener] = []

    def make(url: str) -> Listener:
        monkeypatch.setattr(waiting.endpoints, "redis_url", lambda _config: url)
        made.append(Listener())
        return made[-1]

    yield make
    for listener in made:
        listener.stop()
        ledger.client.publish(f"{ledger.prefix}listeners", "")  # so that it need not be waited for
        if listener._thread is not None:
            listener._thread.join(10)


@pytest.fixture
def listener(listen: Callable[[str], Listener], redis_url: str) -> Listener:
    """Its connection is told from others by its name."""
    return listen(f"{redis_url}{'&' if '?' in redis_url else '?'}client_name=listener")


def connections(client: redis.Redis) -> list[str]:
    return [one["id"] for one in client.client_list() if one["name"] == "listener"]


def registered(listener: Listener, channel: str, counter: Counter) -> Counter:
    """Once it is woken because its subscription has begun."""
    before = counter.count
    listener.register(channel, counter)
    eventually(lambda: counter.count > before)
    return counter


def test_whoever_waits_is_woken_when_the_subscription_begins_and_by_each_message(
    listener: Listener, client: redis.Redis
) -> None:
    counter, other = registered(listener, "a", Counter()), registered(listener, "b", Counter())
    assert (counter.count, other.count) == (1, 1)
    client.publish("a", "x")
    client.publish("a", "x")
    eventually(lambda: counter.count == 3)
    assert other.count == 1


def test_an_event_is_a_waker_as_well(listener: Listener, client: redis.Redis) -> None:
    event = threading.Event()
    listener.register("a", event)
    assert event.wait(10)


def test_after_a_lost_connection_everybody_is_woken_once_and_hears_again(
    listener: Listener, client: redis.Redis
) -> None:
    counters = [registered(listener, channel, Counter()) for channel in ("a", "b", "c")]
    (lost,) = connections(client)
    client.client_kill_filter(_id=lost)
    eventually(lambda: [counter.count for counter in counters] == [2, 2, 2])
    assert connections(client) != [lost]
    client.publish("b", "x")
    eventually(lambda: counters[1].count == 3)
    assert [counter.count for counter in counters] == [2, 3, 2]


def test_who_registers_while_the_connection_is_away_is_heard_once_it_is_back(
    listener: Listener, client: redis.Redis
) -> None:
    registered(listener, "a", Counter())
    late = Counter()
    with listener._lock:
        listener._is_lost = True  # what a failed send leaves behind
    client.client_kill_filter(_id=connections(client)[0])
    registered(listener, "b", late)
    client.publish("b", "x")
    eventually(lambda: late.count >= 2)


def test_without_a_server_registering_neither_fails_nor_hangs(
    listen: Callable[[str], Listener],
) -> None:
    listener, counter = listen("redis://127.0.0.1:1/0"), Counter()
    listener.register("a", counter)
    listener.unregister("a", counter)
    assert counter.count == 0


def test_after_unregistering_nothing_is_heard_and_others_are(listener: Listener, client: redis.Redis) -> None:
    gone, stays = registered(listener, "a", Counter()), Counter()
    listener.register("a", stays)
    listener.unregister("a", gone)
    listener.unregister("a", gone)
    listener.unregister("never", gone)
    client.publish("a", "x")
    eventually(lambda: stays.count == 1)
    assert gone.count == 1
    listener.unregister("a", stays)
    eventually(lambda: client.pubsub_numsub("a") == [("a", 0)])


def test_a_waker_may_register_and_unregister_itself(listener: Listener, client: redis.Redis) -> None:
    heard = threading.Event()

    def move() -> None:
        listener.unregister("a", mover)
        listener.register("b", heard)

    mover = Counter(move)
    listener.register("a", mover)
    assert heard.wait(10)


def test_a_waker_that_raises_keeps_no_other_from_being_woken(
    listener: Listener, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError("no")

    registered(listener, "a", Counter(fail))
    other = registered(listener, "b", Counter())
    client.publish("a", "x")
    client.publish("b", "x")
    eventually(lambda: other.count == 2)
    assert "could not be woken" in caplog.text


def test_no_change_of_a_job_is_missed_between_registering_and_reading(listener: Listener, ledger: Ledger) -> None:
    """Whatever happened before the subscription began is read at the wake-up that says so."""
    for number in range(50):
        job = NewJob(job_id=f"j{number}", task="t", queue="q", priority=5, owner="ann")
        ledger.create(job)
        event = threading.Event()
        listener.register(ledger.channel(job.job_id), event)
        ledger.start(job)
        while ledger.get(job.job_id).state != "running":
            assert event.wait(10)
            event.clear()
        listener.unregister(ledger.channel(job.job_id), event)
