"""The platform under test: one gunicorn, some workers, an own Valkey, and perhaps another broker.

Nobody but this starts its servers: their addresses are set, so that no program of the platform helps.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import redis

from platform.leases import names
from platform.leases.lease import rescue_all
from platform.settings import settings
from platform.transport import key_prefix
from tests import processes
from tests.chaos.brokers import Server, Valkey
from tests.chaos.effects import Effects
from tests.processes import Beat, Web, Worker
from tests.waiting import eventually

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
PAGE = 500
ADD_OPERATOR = """
import tasks
from platform.accounts import add_key, add_user
add_user("chaos@example.com", "operator", "correct horse")
print(add_key("chaos@example.com"))
"""
OUTCOME = re.compile(r'^platform_jobs_total\{.*outcome="(\w+)".*\} (\S+)$', re.MULTILINE)


@dataclass
class Death:
    """A worker that was made to end or to seem dead, and when; ``how`` is group, main, child, frozen or term."""

    worker: str
    at: float
    how: str


@dataclass
class Outage:
    began: float
    ended: float = field(default=float("inf"))


class Place:
    """A worker's place: another incarnation takes it each time it is started again. It serves ``queues``, the default
    ones if none are named."""

    def __init__(self, number: int, queues: str = ""):
        self.number, self.queues, self.generation = number, queues, 0
        self.worker: Worker | None = None

    @property
    def name(self) -> str:
        return f"w{self.number}.{self.generation}"


class Deployment:
    def __init__(self, folder: Path, broker: Server | None = None, concurrency: int = 4, **settings: object):
        self.folder, self.concurrency = folder, concurrency
        for sample in ("toil.py", "poison.py", "batched.py"):
            shutil.copy(SAMPLES / sample, folder)
        for name in ("valkey", "data"):
            (folder / name).mkdir()
        self.records = Valkey(folder / "valkey")
        self.broker: Server = broker or self.records
        self.settings = {
            "data_dir": folder / "data",
            "broker_url": self.broker.url,
            "redis_url": self.records.url,
            "imports": "toil,poison,batched",
            "max_deaths": 100,
        } | settings
        self.effects = Effects(folder / "effects")
        self._clock = folder / "clock"
        self.places: list[Place] = []
        self.deaths: list[Death] = []
        self.outages: list[Outage] = []
        self.web: Web | None = None
        self.beats: list[Beat] = []
        self.key = ""

    @property
    def label(self) -> str:
        """The broker's name, with the kind of its queues where there is a choice."""
        return f"{self.broker.name} {self.settings.get('queue_type', '')}".strip()

    # -- starting and stopping

    def start(self, workers: int | Sequence[str]) -> None:
        """So many workers, or one for each of these lists of queues."""
        for server in {self.records, self.broker}:
            server.start()
        served = [""] * workers if isinstance(workers, int) else workers
        self.places = [Place(number, queues) for number, queues in enumerate(served, 1)]
        for place in self.places:
            self.start_worker(place)
        self._start_web()
        for place in self.places:
            place.worker.wait_until_ready()

    def start_worker(self, place: Place, **more: object) -> Worker:
        place.generation += 1
        env = self.env(**more) | {"TOIL_LOG": str(self.effects.log), "TOIL_WORKER": place.name}
        args = ["-n", f"{place.name}@%h", "-l", "INFO", f"--concurrency={self.concurrency}"]
        args += ["-Q", place.queues] if place.queues else []
        place.worker = Worker(args, self.folder / f"{place.name}.log", env)
        return place.worker

    def add_place(self, **more: object) -> Place:
        place = Place(len(self.places) + 1)
        self.places.append(place)
        self.start_worker(place, **more).wait_until_ready()
        return place

    def stop(self) -> None:
        """Everything but a broker that was given: it may serve others."""
        programs = [self.web, *self.beats, *(place.worker for place in self.places)]
        for program in filter(None, programs):
            program.kill_group()
        if self.web:
            self.web.stop()
        self.records.stop()

    def start_beat(self) -> Beat:
        """One scheduler more; returns once it stands."""
        beat = Beat([], self.folder / f"beat{len(self.beats)}.log", self.env())
        self.beats.append(beat)
        beat.wait_until_ready()
        return beat

    def _start_web(self) -> None:
        port = processes.free_port()
        self.web = Web([], self.folder / "web.log", self.env(http_port=port, web_workers=1), port)
        self.key = self.run(ADD_OPERATOR).strip()
        self.web.wait_until_ready()

    def run(self, program: str, *args: object) -> str:
        """What a Python program with the deployment's settings prints."""
        return processes.succeed(sys.executable, "-c", program, *args, env=self.env())

    def env(self, **more: object) -> dict[str, str]:
        """Of each of its programs; ``more`` are settings of one alone."""
        own = {"PYTHONPATH": str(self.folder), "TEST_CLOCK_FILE": str(self._clock)}
        return processes.environment(self.settings | more) | own

    def forward_clock(self, seconds: float) -> None:
        """Let that much time pass at once for whatever waits for its time."""
        ahead_s = float(self._clock.read_text()) if self._clock.exists() else 0.0
        fresh = self._clock.with_suffix(".new")
        fresh.write_text(str(ahead_s + seconds))
        fresh.replace(self._clock)  # nobody reads half of it

    # -- making it suffer

    def kill_worker(self, place: Place, whole_group: bool) -> None:
        """SIGKILL, and start another in its place; returns at once."""
        worker = place.worker
        self.deaths.append(Death(place.name, time.time(), "group" if whole_group else "main"))
        if whole_group:
            worker.kill_group()
        else:
            worker.kill()
        self.start_worker(place)

    def kill_child(self, place: Place, chance: random.Random) -> None:
        """SIGKILL to one of the processes of its pool; what that had goes back, and the worker starts another."""
        pid = place.worker.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            self.deaths.append(Death(place.name, time.time(), "child"))
            with suppress(ProcessLookupError):
                os.kill(int(chance.choice(children)), signal.SIGKILL)

    def steer(self, queue: str, act: str) -> None:
        """``pause`` or ``resume`` a queue, as an operator."""
        with self.caller() as caller:
            answer = caller.post(f"/queues/{queue}/{act}")
        assert answer.is_success, answer.text

    def take_away(self) -> int:
        """Give all that is under way to others, as if every worker had been silent for longer than its lease, while
        each goes on with what it has; returns how many messages that were."""
        prefix, deaths = key_prefix(settings()), int(str(self.settings["max_deaths"]))
        with redis.Redis.from_url(self.records.url) as client:
            for name in client.smembers(names.everybody(prefix)):
                client.delete(names.heartbeat(prefix, name.decode()))
            return rescue_all(client, prefix, deaths)

    def revive(self) -> None:
        """Start another worker in the place of each that has ended by itself; returns at once."""
        for place in self.places:
            if not place.worker.is_alive:
                self.deaths.append(Death(place.name, time.time(), "main"))
                self.start_worker(place)

    def roll_worker(self, place: Place) -> tuple[int, float]:
        """SIGTERM, wait for its end, start another and wait until that is ready: the exit code, and how long it took
        to end in seconds."""
        began = time.time()
        self.deaths.append(Death(place.name, began, "term"))
        place.worker.signal(signal.SIGTERM)
        code = place.worker.wait(60)
        took_s = time.time() - began
        self.start_worker(place).wait_until_ready()
        return code, took_s

    def kill_broker(self, away_s: float) -> None:
        """SIGKILL, a pause, and a start; returns when it answers again."""
        with self.outage():
            self.broker.kill()
            time.sleep(away_s)
            self.broker.start()

    def restart_broker(self) -> None:
        with self.outage():
            self.broker.stop()
            self.broker.start()

    def outage(self) -> _Away:
        return _Away(self.outages)

    def freeze(self, place: Place) -> None:
        """Its main process and its pool."""
        self.deaths.append(Death(place.name, time.time(), "frozen"))
        os.killpg(place.worker.pid, signal.SIGSTOP)

    def thaw(self, place: Place) -> None:
        os.killpg(place.worker.pid, signal.SIGCONT)

    # -- asking

    def caller(self) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx2.Client(base_url=self.web.url, headers=headers, timeout=20, trust_env=False)

    def submit(self, task: str, *args: object, **more: object) -> str:
        """The id of a job just accepted; ``toil``'s tasks need no module. ``more`` is of the body: ``eta``."""
        name = task if "." in task else f"toil.{task}"
        return self.post("/jobs", {"task": name, "args": list(args), **more})["job_id"]

    def post(self, path: str, body: object = None) -> dict:
        """What was accepted (202)."""
        with self.caller() as caller:
            answer = caller.post(path, json=body)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def get(self, path: str, **query: object) -> dict:
        with self.caller() as caller:
            answer = caller.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def place_of(self, job_id: str) -> Place:
        """Where a job's first run is, once it has begun."""
        run = eventually(lambda: self.effects.runs()[job_id], 30)[0]
        return next(place for place in self.places if place.name == run.worker)

    def await_completed(self, job_ids: Iterable[str], timeout_s: float) -> None:
        def are_completed() -> bool:
            jobs = self.jobs()
            return all(jobs[job_id]["state"] == "completed" for job_id in job_ids)

        eventually(are_completed, timeout_s, poll_s=0.5)

    def settles(self, count: int, timeout_s: float) -> bool:
        """Whether that many jobs are completed in time; cheap however many they are."""
        deadline = time.monotonic() + timeout_s
        eventually(
            lambda: self.counts().get("completed", 0) >= count or time.monotonic() > deadline, 2 * timeout_s, poll_s=0.5
        )
        return time.monotonic() <= deadline

    def jobs(self) -> dict[str, dict]:
        """Every job there is a record of, by its id."""
        found: dict[str, dict] = {}
        with self.caller() as caller:
            page = pages = 1
            while page <= pages:
                answer = caller.get("/jobs", params={"page": page, "limit": PAGE}).json()
                found |= {job["job_id"]: job for job in answer["items"]}
                pages, page = answer["pages"], page + 1
        return found

    def counts(self) -> dict[str, int]:
        """Jobs by state; empty while the record store is away."""
        with suppress(httpx2.TransportError), self.caller() as caller:
            answer = caller.get("/status")
            if answer.status_code == 200:
                return answer.json()["jobs"]
        return {}

    def outcomes(self) -> dict[str, int]:
        """``platform_jobs_total`` by outcome."""
        found: dict[str, int] = defaultdict(int)
        with self.caller() as caller:
            for outcome, value in OUTCOME.findall(caller.get("/metrics").text):
                found[outcome] += int(float(value))
        return found

    def whereabouts(self, job_id: str) -> list[str]:
        """The keys of the record server that mention a job, for whoever has to find out why it is stuck."""
        with redis.Redis.from_url(self.records.url) as client:
            keys = [key for key in client.scan_iter(count=1000) if b":job:" not in key]
            return sorted(key.decode() for key in keys if _mentions(client, key, job_id))


class _Away:
    """While it is entered a server is away."""

    def __init__(self, outages: list[Outage]):
        self._outages = outages

    def __enter__(self) -> None:
        self._outages.append(Outage(time.time()))

    def __exit__(self, *_: object) -> None:
        self._outages[-1].ended = time.time()


def _mentions(client: redis.Redis, key: bytes, job_id: str) -> bool:
    kind = client.type(key)
    if kind == b"list":
        return any(job_id.encode() in item for item in client.lrange(key, 0, -1))
    if kind == b"hash":
        return any(job_id.encode() in value for value in client.hvals(key))
    return kind == b"zset" and client.zscore(key, job_id) is not None
