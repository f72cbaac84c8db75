"""A platform whose user's module has stages of its own."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from platform.jobs.ledger import Ledger
from platform.jobs.record import Job
from platform.settings import Settings
from platform.store import connect
from platform.streams.delivery import Streams
from platform.streams.history import Histories
from tests import processes
from tests.integration.conftest import SAMPLES
from tests.waiting import eventually

SUBMIT = """
import json, sys
from tasks import app
from platform.outbox import collecting
app.load_everything()
changes, options = json.load(open(sys.argv[1]))
with collecting() as outbox:
    for change in changes:
        app.tasks[sys.argv[2]].apply_async(([change],), task_id=change["change_id"], **options)
    outbox.send()
"""

CREATE = """
import json, sys, uuid
from platform.documents.change import Change
from tasks.pipeline import submit
about = {"act": "create", "app_id": "a", "type": "note"} | json.loads(sys.argv[2])
changes = [
    Change(change_id=str(uuid.uuid4()), id=uuid.uuid4().hex, data=fields, **about)
    for fields in json.loads(sys.argv[1])
]
print(json.dumps(submit(changes)))
"""


@dataclass
class Flows:
    """The module's folder; what its stages wrote; jobs given to them."""

    folder: Path
    start: Callable[..., processes.Worker]
    python: Callable[..., Any]
    ledger: Ledger
    histories: Histories

    def worker(self, *args: str, **more: Any) -> processes.Worker:
        return self.start(*args, imports="flows", folder=self.folder, env={"FLOWS": str(self.folder)}, **more)

    def submit(self, notes: Sequence[dict[str, Any]], task: str = "flows.sift", **options: Any) -> list[str]:
        """One job for each change, all published before this returns."""
        ids = [str(uuid.uuid4()) for _ in notes]
        changes = [
            {"change_id": i, "act": "delete", "app_id": "a", "type": "t", "id": "d", "notes": n}
            for i, n in zip(ids, notes, strict=True)
        ]
        given = self.folder / "given.json"
        given.write_text(json.dumps([changes, options]))
        done = self.python("-c", SUBMIT, str(given), task, folder=self.folder, imports="flows")
        assert done.returncode == 0, done.stderr
        return ids

    def run(self, code: str, *args: str) -> Any:
        """Run a program with the user's module on the path; what it prints is JSON."""
        done = self.python("-c", code, *args, folder=self.folder, imports="flows")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def command(self, *args: str) -> str:
        """What ``celery -A platform …`` prints where the user's module is on the path."""
        code = "import sys; from celery.__main__ import main; sys.argv[1:1] = ['-A', 'platform']; main()"
        done = self.python("-c", code, *args, folder=self.folder, imports="flows")
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    def create(self, *fields: dict[str, Any], **about: Any) -> list[str]:
        """Notes asked for through the front of the pipeline; the jobs' ids."""
        found: list[str] = self.run(CREATE, json.dumps(fields), json.dumps(about))
        return found

    def frames(self) -> list[dict[str, Any]]:
        """Every frame of the stream of notes."""
        return [json.loads(frame.text) for frame in self.histories.read("app:a:model:note", 0).frames]

    def lines(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def open(self, gate: str) -> None:
        (self.folder / gate).touch()

    def jobs(self, ids: Sequence[str]) -> dict[str, Job]:
        return {job.job_id: job for job in self.ledger.get_many(ids)}

    def ended(self, ids: Sequence[str], timeout_s: float = 30) -> dict[str, Job]:
        """The jobs, once all of them have ended."""

        def all_ended() -> bool:
            jobs = self.jobs(ids)
            return len(jobs) == len(ids) and all(job.is_final for job in jobs.values())

        eventually(all_ended, timeout_s)
        return self.jobs(ids)


@pytest.fixture
def flows(
    tmp_path: Path, worker: Callable[..., Any], python: Callable[..., Any], redis_url: str, data_dir: Path
) -> Iterator[Flows]:
    shutil.copy(SAMPLES / "flows.py", tmp_path)
    config = Settings(redis_url=redis_url, data_dir=data_dir)
    with connect(redis_url, config, timeout_s=5) as client:
        yield Flows(tmp_path, worker, python, Ledger(client, config), Histories(Streams(client, config)))
