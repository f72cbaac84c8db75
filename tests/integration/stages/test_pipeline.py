"""Changes from the front of the pipeline to the stream, past a user's own stages."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from tests.integration.stages.conftest import Flows
from tests.waiting import eventually


def test_a_change_goes_through_every_stage_into_the_stream(flows: Flows) -> None:
    flows.worker()
    (job_id,) = flows.create({"title": "hello"}, notes={"drop": False})
    job = flows.ended([job_id])[job_id]
    assert job.state == "completed"
    assert job.result["type"] == "note"
    assert job.result["version"] == 1
    assert job.task == "tasks.pipeline.write"
    eventually(lambda: len(flows.frames()) == 1)
    assert flows.frames()[0]["event"] == "model_created"
    assert flows.frames()[0]["data"]["title"] == "hello"
    eventually(lambda: len(flows.lines("email")) == 1 and len(flows.lines("index")) == 1)
    assert flows.lines("email")[0]["change"] == job_id


def test_a_stage_drops_changes_and_multiplies(flows: Flows) -> None:
    flows.worker(concurrency=2)
    ids = flows.create(*({"title": title} for title in ("drop", "other", "two")), notes={"drop": False})
    jobs = flows.ended(ids)
    assert jobs[ids[0]].result == {"dropped": "enrich"}
    assert isinstance(jobs[ids[1]].result, dict)
    first, second = jobs[ids[2]].result
    assert first["id"] != second["id"]
    eventually(lambda: len(flows.frames()) == 3)
    assert Counter(frame["data"]["title"] for frame in flows.frames()) == {"changed": 1, "two": 2}


def test_many_changes_are_written_together(flows: Flows) -> None:
    ids = flows.create(*({"n": n} for n in range(100)), notes={"drop": False})
    flows.worker("-Q", "pipeline.enrich,pipeline.sift")
    eventually(lambda: all(job.queue == "pipeline.write" for job in flows.jobs(ids).values()), 30)
    flows.worker("-Q", "pipeline.write,pipeline.route,fanout,pipeline.index")
    flows.ended(ids)
    eventually(lambda: len(flows.frames()) == 100)
    assert sorted(frame["data"]["n"] for frame in flows.frames()) == [*range(100)]
    eventually(lambda: sum(len(line["ids"]) for line in flows.lines("index")) == 100)
    assert len(flows.lines("index")) <= 30


def test_a_change_that_is_refused_is_a_dead_letter_and_its_sender_is_told(flows: Flows) -> None:
    flows.worker()
    code = """
import json, tasks
from tasks.pipeline import create, patch
from platform.deadletters.register import dead_letters
about = {"app_id": "a", "notes": {"drop": False}}
made = create("note", {"title": "x"}, **about)
document = made.get(timeout=20)["id"]
jobs = [
    patch("note", document, [{"op": "replace", "path": "/n", "value": 1}], if_version=7, **about),
    patch("note", document, [{"op": "replace", "path": "/n", "value": "no number"}], **about),
    patch("note", document, [{"op": "remove", "path": "/nowhere"}], **about),
    patch("note", "nothing", [{"op": "replace", "path": "/n", "value": 1}], **about),
    patch("note", document, [{"op": "replace", "path": "/n", "value": 5}], **about),
]
for job in jobs:
    try: job.get(timeout=20)
    except Exception as exc: pass
print(json.dumps([job.id for job in jobs]))
"""
    ids = flows.run(code)
    jobs = flows.ended(ids)
    errors = [(jobs[job_id].error or {}).get("type") for job_id in ids]
    assert errors == ["VersionConflict", "InvalidDocument", "BadPatch", "UnknownDocument", None]
    eventually(lambda: all(flows.jobs(ids)[job_id].dead_letter_id for job_id in ids[:4]))
    letters = flows.run(
        "import json, tasks\nfrom platform.deadletters.register import dead_letters\n"
        "print(json.dumps({letter.job_id: letter.reason for letter in dead_letters().list().items}))"
    )
    assert [letters[job_id] for job_id in ids[:4]] == ["rejected", "invalid", "invalid", "rejected"]
    assert all(jobs[job_id].attempts == 3 for job_id in ids[:4])  # enrich, sift, write: none of them twice


def test_a_dead_email_stage_stops_nothing_else_and_its_messages_wait(flows: Flows) -> None:
    flows.worker("-Q", "pipeline.enrich,pipeline.sift,pipeline.write,pipeline.route,fanout,pipeline.index")
    mailer = flows.worker("-Q", "pipeline.email")
    mailer.kill_group()
    ids = flows.create(*({"n": n} for n in range(5)), notes={"drop": False})
    flows.ended(ids)
    eventually(lambda: len(flows.frames()) == 5)
    assert flows.lines("email") == []
    flows.worker("-Q", "pipeline.email")
    eventually(lambda: sorted(line["change"] for line in flows.lines("email")) == sorted(ids), 30)


def test_one_of_a_chunk_that_fails_is_tried_again_alone(flows: Flows) -> None:
    flows.worker("-Q", "pipeline.enrich,pipeline.sift")
    ids = flows.create(*({"how": "no index" if n == 3 else ""} for n in range(8)), notes={"drop": False})
    eventually(lambda: all(job.queue == "pipeline.write" for job in flows.jobs(ids).values()), 30)
    flows.worker("-Q", "pipeline.write,pipeline.index")
    eventually(lambda: [ids[3]] in [line["ids"] for line in flows.lines("index")], 30)
    seen = Counter(job_id for line in flows.lines("index") for job_id in line["ids"])
    assert all(seen[job_id] == 1 for job_id in ids if job_id != ids[3])


def test_a_submission_that_cannot_be_is_refused_at_once(flows: Flows) -> None:
    code = """
import json, tasks
from tasks.pipeline import create, patch
told = []
for call in (
    lambda: create("nothing", {}),
    lambda: create("note", {"title": 1}),
    lambda: patch("note", "x", [{"op": "blow up", "path": "/n"}]),
):
    try: call()
    except Exception as exc: told.append(type(exc).__name__)
print(json.dumps(told))
"""
    assert flows.run(code) == ["UnknownModel", "InvalidDocument", "BadPatch"]


def test_a_database_that_is_away_for_a_while_makes_changes_wait(flows: Flows, data_dir: Path) -> None:
    flows.worker()
    flows.ended(flows.create({"n": 0}, notes={"drop": False}))
    with closing(sqlite3.connect(data_dir / "platform.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ids = flows.create(*({"n": n} for n in range(1, 11)), notes={"drop": False})
        eventually(lambda: "retrying" in {job.state for job in flows.jobs(ids).values()}, 60)
        other.execute("ROLLBACK")
    assert {job.state for job in flows.ended(ids, 60).values()} == {"completed"}
    eventually(lambda: sorted(frame["data"]["n"] for frame in flows.frames()) == [*range(11)])


def test_the_pipeline_is_shown_with_what_went_through_it(flows: Flows) -> None:
    flows.worker()
    flows.ended(flows.create({"title": "drop"}, {"title": "x"}, notes={"drop": False}))
    eventually(lambda: len(flows.frames()) == 1)
    told = {one["name"]: one for one in json.loads(flows.command("pipeline", "show", "--json"))}
    assert [*told] == ["enrich", "sift", "write", "route", "deliver", "email", "log", "index"]
    assert told["write"]["to"] == ["route", "email", "index"]
    assert told["enrich"]["changes"] == {"in": 2, "out": 1, "dropped": 1, "failed": 0}
    assert told["write"]["changes"] == {"in": 1, "out": 1, "dropped": 0, "failed": 0}
    assert len(told["email"]["workers"]) == 1
    drawn = flows.command("pipeline", "show")
    assert "└─ deliver" in drawn
