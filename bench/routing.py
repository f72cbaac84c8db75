"""What routing a change costs, by how many subscriptions there are; and how fast routed changes are delivered.

A subscription is a device's. Half of the devices follow all documents of a model through one of ten filters, a quarter
one user's documents and a quarter one document, spread over four socket processes. What changes is the same for every
size: any of 250 000 documents, each of which has a follower of its own, and its user too, where there are 10⁶
subscriptions. The registries are in one Valkey, and the sizes take turns batch by batch.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import redis

from bench import place
from bench.measures import BenchmarkFailed, Measure, Options, Results, System, Tell
from platform.documents.change import Committed
from platform.documents.filters import parsed
from platform.routing.matching import Router
from platform.routing.subscriptions import Group, Subscriptions
from platform.settings import load
from platform.streams.delivery import Streams
from platform.streams.names import View

SUMMARY = "routing a change with 10², 10⁴ and 10⁶ subscriptions; delivering it"
SIZES = {"100": "10²", "10000": "10⁴", "1000000": "10⁶"}
SYSTEMS = tuple(SIZES)
BASELINE = "100"
BATCH = 100
PROCESSES = 4
FILTERS = [parsed({"n": {"$gte": 10 * number}}) for number in range(10)]
DOCUMENTS = 250_000
WARM_UP = 3 * BATCH
#: When a document was changed before: no other version of it is waited for.
LONG_AGO_MS = 1

MEASURES = (
    Measure("batch", f"Routing in batches of {BATCH}", "µs/change", more_is_better=False),
    Measure("single", "Routing one by one", "µs/change", more_is_better=False),
    Measure("deliver", f"Delivering in batches of {BATCH}", "changes/s", more_is_better=True),
)
NOTES = (
    "A subscription is one device's: half follow a model through one of ten filters, a quarter a user's documents, a "
    f"quarter one document; on {PROCESSES} socket processes, which count their devices themselves. Changed is any of "
    f"{DOCUMENTS} documents, whatever the size.",
    "Routing: from changes to the groups of each socket process, filters tested before and after each change.",
    "Delivering: into the stream, in order, and one message per socket process and batch.",
)


@dataclass
class Shop:
    """An app with so many subscriptions."""

    size: int
    router: Router
    streams: Streams
    chosen: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 - no secret
    versions: dict[int, int] = field(default_factory=dict)

    def changes(self, count: int) -> list[Committed]:
        """Patches of documents drawn by lot."""
        return [self._change(self.chosen.randrange(DOCUMENTS)) for _ in range(count)]

    def _change(self, number: int) -> Committed:
        version = self.versions[number] = self.versions.get(number, 1) + 1
        before, after = _document(number, version - 1), _document(number, version)
        operations = [{"op": "replace", "path": f"/{name}", "value": after[name]} for name in ("n", "version")]
        return Committed(
            change_id=f"{number}-{version}",
            act="patch",
            app_id="shop",
            user_id=after["userId"],
            type="task",
            id=after["id"],
            version=version,
            document=after,
            before=before,
            operations=operations,
            before_ms=LONG_AGO_MS,
        )


def _document(number: int, version: int) -> dict[str, Any]:
    system = {"appId": "shop", "userId": f"user{number}", "type": "task", "id": f"document{number}", "version": version}
    times = {"createdAt": "2026-11-22T10:00:00.000Z", "updatedAt": "2026-11-22T10:00:00.000Z"}
    return system | times | {"title": "Something to do", "text": "x" * 200, "n": (number * 7 + version * 13) % 100}


def measure(options: Options, tell: Tell) -> Results:
    sizes = [key for key in SYSTEMS if not options.systems or key in options.systems]
    results = Results(
        benchmark="routing",
        title="Routing by number of subscriptions",
        measures=MEASURES,
        systems=[
            System(key, f"{SIZES[key]} subscriptions", "with ten distinct filters", is_ours=True) for key in sizes
        ],
        baseline=BASELINE,
        parameters={"repeat": options.repeat, "changes": options.jobs, "batch": BATCH, "processes": PROCESSES},
        notes=NOTES,
    )
    with place.temporary() as here, redis.Redis.from_url(here.url, decode_responses=True) as client:
        results.versions["valkey"] = client.info("server")["valkey_version"]
        shops = [_opened(client, key, tell) for key in sizes]
        for index in range(options.repeat):
            tell(f"round {index + 1} of {options.repeat}")
            for size, found in _round(shops, options.jobs).items():
                results.add(str(size), found)
    return results


def _opened(client: redis.Redis, key: str, tell: Tell) -> Shop:
    tell(f"{SIZES[key]} subscriptions join")
    config = load({"PLATFORM_KEY_PREFIX": f"bench{key}"}).settings
    registry = Subscriptions(client, config)
    for process, groups in enumerate(_groups(int(key))):
        registry.open(f"process{process}", ttl_s=3_600)
        registry.join(f"process{process}", groups)
    shop = Shop(int(key), Router(registry), Streams(client, config))
    _turn(shop, WARM_UP)
    return shop


def _groups(size: int) -> list[list[Group]]:
    """What each process joins: a group once, however many of its devices are in it."""
    groups: list[dict[Group, None]] = [{} for _ in range(PROCESSES)]
    for device, group in enumerate(_subscriptions(size)):
        # By tens, so that every process has devices with each of the ten filters.
        groups[device // 10 % PROCESSES][group] = None
    return [list(some) for some in groups]


def _subscriptions(size: int) -> Iterator[Group]:
    whole = View("shop", "task")
    for device in range(size // 2):
        yield Group(whole.channel, FILTERS[device % len(FILTERS)])
    for number in range(size // 4):
        yield Group(View("shop", "task", user_id=f"user{number}").channel)
        yield Group(View("shop", "task", f"document{number}").channel)


def _round(shops: Sequence[Shop], count: int) -> dict[int, dict[str, float]]:
    """A batch of each size in turn, so that whatever else slows the machine down meets them all."""
    spent_s = {shop.size: dict.fromkeys(("batch", "single", "deliver"), 0.0) for shop in shops}
    for number, start in enumerate(range(0, count, BATCH)):
        shift = number % len(shops)
        for shop in (*shops[shift:], *shops[:shift]):
            for measured, took_s in _turn(shop, min(BATCH, count - start)).items():
                spent_s[shop.size][measured] += took_s
    return {
        size: {"batch": s["batch"] / count * 1e6, "single": s["single"] / count * 1e6, "deliver": count / s["deliver"]}
        for size, s in spent_s.items()
    }


def _turn(shop: Shop, count: int) -> dict[str, float]:
    """Seconds for so many changes. Raises BenchmarkFailed where not each of them is in the stream."""
    changes = shop.changes(count)
    with _timed() as batch_s:
        routed = shop.router.route(changes)
    with _timed() as single_s:
        for change in changes:
            shop.router.route([change])
    with _timed() as deliver_s:
        report = shop.streams.deliver(routed)
    if report.appended != count:
        raise BenchmarkFailed(f"{shop.size} subscriptions: of {count} changes {report.appended} are in the stream")
    return {"batch": batch_s[0], "single": single_s[0], "deliver": deliver_s[0]}


@contextmanager
def _timed() -> Iterator[list[float]]:
    """A list that holds the seconds spent inside, afterwards."""
    spent: list[float] = []
    began = time.perf_counter()
    yield spent
    spent.append(time.perf_counter() - began)
