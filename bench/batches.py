"""A batch of no-op items, from the call that submits them to the callback at their end.

Every system takes its turn in every round. A turn: the worker starts, with two processes, and does a small batch to
warm up; then one batch is submitted while the workers are idle, and it is over when its callback runs. The peers carry
an item as a job each, and get a tenth of the items.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench import node, place
from bench.entrants import ENTRANTS, WORKER_PROCESSES, Entrant, schedule
from bench.jobs import running
from bench.measures import BenchmarkFailed, Measure, Options, Results, System, Tell
from bench.place import Place

SUMMARY = "batches of no-op items; against Celery's chord, Dramatiq's group, RQ's enqueue_many and BullMQ's addBulk"
BASELINE = "celery"
#: Items of a batch of ours, by the option ``--jobs``: 100 000 by default; and how many times fewer of the others.
ITEMS_PER_JOB = 200
FEWER = 10
WARM_UP = 50

NOTES_OF = {
    "platform": "create_batch(count=…): the state and the result of each item on record, and a callback",
    "platform-http": "POST /batches with a list of items, and an API key; the same record",
    "celery": "chord(group(…), callback) with Redis result backend, an item a job",
    "dramatiq": "group with a completion callback (GroupCallbacks), an item a job",
    "rq": "enqueue_many, an item a job; the last to end says so",
    "bullmq": "Node; addBulk, an item a job, kept with its result, one at a time in a process; the last to end says so",
}
BULLMQ = Entrant(
    System("bullmq", "BullMQ", ""),
    "",
    ("node", str(node.SOURCES / "bullmq.cjs"), "worker", str(WORKER_PROCESSES)),
    (("NODE_PATH", str(node.MODULES)),),
)
SYSTEMS = tuple(NOTES_OF)

MEASURES = (
    Measure("accept", "Submitting", "items/s", more_is_better=True),
    Measure("through", f"From the call to the callback, {WORKER_PROCESSES} processes", "items/s", more_is_better=True),
    Measure("accept_s", "Until the call returns", "s", more_is_better=False),
)
NOTES = (
    "Items return their argument. Everything is as each system ships it, but for the number of worker processes and "
    "for logs, warnings only.",
    f"The peers have {FEWER} times fewer items: rates are to be compared, not seconds.",
)


def measure(options: Options, tell: Tell) -> Results:
    """Raises BenchmarkFailed when a system does not come up, or a batch does not end."""
    entrants = list(_wanted(options, tell))
    if missing := [e.system.label for e in entrants if not e.is_installed()]:
        raise BenchmarkFailed(f"not installed: {', '.join(missing)}; `make bench` installs what is compared")
    items = ITEMS_PER_JOB * options.jobs
    results = Results(
        benchmark="batches",
        title="Batches on one Valkey",
        measures=MEASURES,
        systems=[entrant.system for entrant in entrants],
        baseline=BASELINE,
        parameters={"repeat": options.repeat, "items": items, "items_of_peers": max(1, items // FEWER)},
        notes=NOTES,
    )
    with place.temporary() as here:
        results.versions["valkey"] = here.client.info("server")["valkey_version"]
        for number, entrant in schedule(entrants, options.repeat):
            tell(f"round {number} of {options.repeat}: {entrant.system.label}")
            count = items if entrant.system.is_ours else max(1, items // FEWER)
            results.add(entrant.system.key, _turn(entrant, here, count, results))
    return results


def _wanted(options: Options, tell: Tell) -> Iterator[Entrant]:
    for entrant in (*ENTRANTS, BULLMQ):
        if entrant.system.key not in (options.systems or SYSTEMS) or entrant.system.key not in NOTES_OF:
            continue
        if entrant.is_nodes and not entrant.is_installed():
            tell(f"{entrant.system.label} is left out: there is no node, or no npm")
            continue
        if entrant.is_nodes:
            node.install()
        yield _own(entrant)


def _own(entrant: Entrant) -> Entrant:
    """The entrant, with what it does for its numbers here."""
    system = entrant.system
    told = System(system.key, system.label, NOTES_OF[system.key], system.is_ours)
    return Entrant(told, entrant.module, entrant.command, entrant.env)


def _turn(entrant: Entrant, here: Place, count: int, results: Results) -> dict[str, float]:
    here.client.flushall()
    with running(entrant, here) as (_, driver):
        results.versions |= driver.versions
        driver.ask("batch", WARM_UP)
        took = driver.ask("batch", count)
    return {"accept": count / took["accepted"], "through": count / took["done"], "accept_s": took["accepted"]}
