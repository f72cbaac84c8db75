"""Messages are worked on together, and end each by itself."""

from __future__ import annotations

import pytest
import redis

from tests.integration.stages.conftest import Flows
from tests.waiting import eventually


def calls(flows: Flows) -> list[int]:
    return [len(line["ids"]) for line in flows.lines("sift")]


def test_what_waits_is_worked_on_in_few_calls(flows: Flows) -> None:
    ids = flows.submit([{}] * 100)
    flows.worker("-Q", "pipeline.sift")
    jobs = flows.ended(ids)
    assert {(job.state, job.attempts, str(job.result)) for job in jobs.values()} == {
        ("completed", 1, "{'dropped': 'sift'}")
    }
    assert sum(calls(flows)) == 100
    assert max(calls(flows)) <= 20
    assert len(calls(flows)) <= 20


def test_one_that_fails_takes_no_other_with_it(flows: Flows) -> None:
    ids = flows.submit([{"error": "this one"} if n == 7 else {} for n in range(20)], headers={"max_retries": 0})
    flows.worker("-Q", "pipeline.sift")
    jobs = flows.ended(ids)
    assert [job_id for job_id in ids if jobs[job_id].state != "completed"] == [ids[7]]
    assert jobs[ids[7]].error == {"type": "KeyError", "message": "'this one'"}
    eventually(lambda: flows.jobs(ids)[ids[7]].dead_letter_id)


def test_where_a_call_for_many_raises_each_is_called_alone(flows: Flows) -> None:
    ids = flows.submit([{"raise": True} if n == 7 else {} for n in range(20)], headers={"max_retries": 0})
    flows.worker("-Q", "pipeline.sift")
    jobs = flows.ended(ids)
    assert [job_id for job_id in ids if jobs[job_id].state != "completed"] == [ids[7]]
    assert 1 in calls(flows)


def test_a_child_that_dies_with_a_batch_takes_only_the_guilty_one(flows: Flows) -> None:
    ids = flows.submit([{"kill": True} if n == 7 else {} for n in range(20)])
    flows.worker("-Q", "pipeline.sift")
    jobs = flows.ended(ids)
    assert [job_id for job_id in ids if jobs[job_id].state != "completed"] == [ids[7]]
    assert jobs[ids[7]].error["type"] == "WorkerCrashed"
    assert calls(flows)[0] > 1
    assert sorted(line["id"] for line in flows.lines("done")) == sorted(set(ids) - {ids[7]})


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_other_pools_gather_as_well(flows: Flows, pool: str) -> None:
    ids = flows.submit([{"error": "this one"} if n == 7 else {} for n in range(20)], headers={"max_retries": 0})
    flows.worker("-Q", "pipeline.sift", "-P", pool)
    jobs = flows.ended(ids)
    assert [job_id for job_id in ids if jobs[job_id].state != "completed"] == [ids[7]]
    assert max(calls(flows)) > 1


def test_a_batch_goes_on_when_its_worker_loses_its_connections(flows: Flows, embedded: redis.Redis) -> None:
    ids = flows.submit([{"gate": "go"}] * 20)
    flows.worker("-Q", "pipeline.sift")
    eventually(lambda: sum(job.state == "running" for job in flows.jobs(ids).values()) > 1)
    embedded.client_kill_filter(_type="normal", skipme=True)
    flows.open("go")
    assert {job.state for job in flows.ended(ids).values()} == {"completed"}
    assert sorted(line["id"] for line in flows.lines("done")) == sorted(ids)
