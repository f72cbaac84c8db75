"""Thousands of sockets in one room: getting in, idling there, and being told, for this platform and its peers.

Every system takes its turn in every round; the order moves on by one each round. Its one server process has a core for
itself, and the load client, the publisher and the one Valkey of all share another. Events come from outside, through
Valkey. A turn:

1. the server starts, and some sockets come, hear some events and go, to warm up;
2. all sockets come, join the room, and idle;
3. twenty events, each when all have the one before;
4. thirty events at once, until all have them;
5. on a server that has started again five hundred hear events of 64 kB, and again with five more that do not read.

Every socket that reads must have got every event, once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from bench import node, place
from bench.driving import Driver
from bench.footprint import most_sockets, on_core, rss_bytes
from bench.listeners import LISTENERS, OTHER_CORE, Listener
from bench.measures import BenchmarkFailed, Measure, Options, Results, Tell, percentile
from bench.pipeline import cpu_s
from bench.place import Place
from tests.processes import Program

SUMMARY = "sockets in one room; against Flask-SocketIO, Django Channels, websockets and Node's ws"
SYSTEMS = tuple(listener.system.key for listener in LISTENERS)
BASELINE = "platform"
#: For each of ``--jobs``; for as many as that, 10 000 at a time.
SOCKETS_PER_JOB = 20
WARM_UP_SOCKETS, WARM_UP_EVENTS = 100, 10
SINGLE_EVENTS, EVENTS_AT_ONCE = 20, 30
#: Of 64 kB: in sum more than the kernel keeps for one that does not read.
LARGE_EVENTS = 75
CROWD, STALLED = 500, 5
SETTLING_S = 1.0

MEASURES = (
    Measure("sockets", "Sockets", "at a time", more_is_better=True),
    Measure("connects", "Connecting and joining the room", "sockets/s", more_is_better=True),
    Measure("memory", "Memory of an idle socket", "kB", more_is_better=False),
    Measure("rate", "Deliveries", "events/s", more_is_better=True),
    Measure("per_cpu", "Deliveries for each CPU second", "events", more_is_better=True),
    Measure("last_p50", "Until the last one has an event, p50", "ms", more_is_better=False),
    Measure("last_p95", "Until the last one has an event, p95", "ms", more_is_better=False),
    Measure("reading_p99", f"64 kB to {CROWD} that read, p99", "ms", more_is_better=False),
    Measure("stalled_p99", f"The same beside {STALLED} that do not, p99", "ms", more_is_better=False),
    Measure("held", "Memory held for each that does not", "kB", more_is_better=False),
    Measure("client", "CPU of the load client for deliveries", "%", more_is_better=False),
)
NOTES = (
    "One server process on a core of its own; load client, publisher and Valkey share another. All sockets are in one "
    "room, no compression; an event is 260 bytes of JSON as it arrives, published through Valkey by another program.",
    f"Deliveries: {EVENTS_AT_ONCE} events at once, from publishing the first until the last socket has the last.",
    f"Until the last one has it: from publishing, {SINGLE_EVENTS} events, each when all have the one before.",
    f"Those that do not read: of {LARGE_EVENTS} events of 64 kB, 4.8 MB each; this platform closes them with 4008.",
    "Memory: resident, of the server process, without the kernel's buffers. This platform's sockets share one token.",
    "CPU of the load client: near 100 % it is the client that is measured, not the server.",
)


@dataclass(frozen=True)
class Rig:
    """Everything that runs in a turn."""

    server: Program
    load: Driver
    publisher: Driver

    def broadcast(self, act: str, events: int) -> tuple[int, dict[str, Any]]:
        """When publishing began, and when each socket had the last event, in nanoseconds."""
        self.load.ask("expect", events)
        began = self.publisher.ask(act, events)["began"]
        return began, self.load.ask("arrivals", events)


def measure(options: Options, tell: Tell) -> Results:
    """Raises BenchmarkFailed when a socket is refused or lost, or an event does not come once."""
    listeners = list(_wanted(options, tell))
    sockets = min(SOCKETS_PER_JOB * options.jobs, most_sockets())
    results = Results(
        benchmark="sockets",
        title="Sockets in one room",
        measures=MEASURES,
        systems=[listener.system for listener in listeners],
        baseline=BASELINE,
        parameters={"repeat": options.repeat, "sockets": sockets, "crowd": CROWD, "stalled": STALLED},
        notes=NOTES,
    )
    with on_core(OTHER_CORE), place.temporary() as here:
        results.versions["valkey"] = here.client.info("server")["valkey_version"]
        for number, listener in _schedule(listeners, options.repeat):
            tell(f"round {number} of {options.repeat}: {listener.system.label}")
            _take_turn(listener, here, min(sockets, listener.most), results, tell)
    return results


def _wanted(options: Options, tell: Tell) -> Iterator[Listener]:
    for listener in LISTENERS:
        if options.systems and listener.system.key not in options.systems:
            continue
        if listener.is_nodes and not listener.is_installed():
            tell(f"{listener.system.label} is left out: there is no node, or no npm")
            continue
        if not listener.is_installed():
            raise BenchmarkFailed(f"not installed: {listener.system.label}; `make bench` installs what is compared")
        if listener.is_nodes:
            node.install()
        yield listener


def _schedule(listeners: Sequence[Listener], repeat: int) -> Iterator[tuple[int, Listener]]:
    for index in range(repeat):
        shift = index % len(listeners)
        for listener in (*listeners[shift:], *listeners[:shift]):
            yield index + 1, listener


def _take_turn(listener: Listener, here: Place, sockets: int, results: Results, tell: Tell) -> None:
    here.client.flushall()
    with _running(listener, here) as rig:
        results.versions |= {**rig.publisher.versions, **(node.versions("redis", "ws") if listener.is_nodes else {})}
        found = {"sockets": sockets} | _arriving(rig, sockets) | _single(rig) | _sustained(rig, sockets)
    try:
        with _running(listener, here) as rig:
            found |= _beside_stalled(rig)
    except BenchmarkFailed as exc:
        tell(f"{listener.system.label} did not get over sockets that do not read: {exc}")
    results.add(listener.system.key, found)


@contextmanager
def _running(listener: Listener, here: Place) -> Iterator[Rig]:
    with ExitStack() as stack:
        server, told = listener.start_server(here)
        stack.enter_context(server)
        stack.callback(server.kill_group)
        env = {**listener.environment(here), **told}
        client = [listener.python, "-m", "bench.systems.sockets_client", listener.dialect, told["BENCH_SOCKET_PORT"]]
        source = [listener.python, "-m", "bench.systems.sockets_publisher", listener.module]
        load = stack.enter_context(Driver(client, here.log("load"), env, [server]))
        publisher = stack.enter_context(Driver(source, here.log("publisher"), env, [server]))
        rig = Rig(server, load, publisher)
        _warm_up(rig)
        yield rig


def _warm_up(rig: Rig) -> None:
    rig.load.ask("connect", WARM_UP_SOCKETS)
    for _ in range(WARM_UP_EVENTS):
        rig.broadcast("publish", 1)
    rig.load.ask("leave", WARM_UP_SOCKETS)
    time.sleep(SETTLING_S)


def _arriving(rig: Rig, sockets: int) -> dict[str, float]:
    """The memory is that of the second half: what was free in the server before them would hide some of the first."""
    first = sockets // 2
    took_s = rig.load.ask("connect", first)["seconds"]
    time.sleep(SETTLING_S)
    before = rss_bytes(rig.server.pid)
    took_s += rig.load.ask("connect", sockets - first)["seconds"]
    time.sleep(SETTLING_S)
    return {"connects": sockets / took_s} | _grown_kb("memory", rig, before, sockets - first)


def _single(rig: Rig) -> dict[str, float]:
    took_ms = []
    for _ in range(SINGLE_EVENTS):
        began, answer = rig.broadcast("publish", 1)
        took_ms.append((max(answer["at"]) - began) / 1e6)
    return {"last_p50": percentile(took_ms, 50), "last_p95": percentile(took_ms, 95)}


def _sustained(rig: Rig, sockets: int) -> dict[str, float]:
    before_s = cpu_s(rig.server.pid)
    began, answer = rig.broadcast("publish", EVENTS_AT_ONCE)
    took_s = (max(answer["at"]) - began) / 1e9
    spent_s = cpu_s(rig.server.pid) - before_s
    deliveries = EVENTS_AT_ONCE * sockets
    found = {"rate": deliveries / took_s, "client": answer["cpu_s"] / took_s * 100}
    return found | ({"per_cpu": deliveries / spent_s} if spent_s else {})


def _beside_stalled(rig: Rig) -> dict[str, float]:
    rig.load.ask("connect", CROWD)
    found = {"reading_p99": _large(rig)}
    rig.load.ask("connect_stalled", STALLED)
    before = rss_bytes(rig.server.pid)
    found["stalled_p99"] = _large(rig)
    return found | _grown_kb("held", rig, before, STALLED)


def _large(rig: Rig) -> float:
    """Milliseconds until all but one in a hundred who read had an event."""
    took_ms = []
    for _ in range(LARGE_EVENTS):
        began, answer = rig.broadcast("publish_large", 1)
        took_ms += [(at - began) / 1e6 for at in answer["at"]]
    return percentile(took_ms, 99)


def _grown_kb(measure: str, rig: Rig, before: int, sockets: int) -> dict[str, float]:
    """By how much the server has grown for each socket, in kB; nothing where the system does not tell."""
    now = rss_bytes(rig.server.pid)
    return {measure: max(0, now - before) / sockets / 1000} if now else {}
