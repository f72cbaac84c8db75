"""``/schedules`` as people and programs meet it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from tests import processes
from tests.integration.conftest import Shop
from tests.waiting import eventually

NewCaller = Callable[..., httpx2.Client]


def body(**more: Any) -> dict[str, Any]:
    name = f"s-{uuid.uuid4().hex[:8]}"
    return {"name": name, "task": "shop.add", "args": [1, 2], "cron": "30 2 * * *"} | more


def add(caller: httpx2.Client, **more: Any) -> dict[str, Any]:
    answer = caller.post("/schedules", json=body(**more))
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def operator(new_caller: NewCaller) -> httpx2.Client:
    return new_caller("operator")


def test_a_schedule_is_added_and_looked_at(ann: httpx2.Client) -> None:
    answer = ann.post("/schedules", json=body(name="nightly", timezone="Europe/Berlin", priority=7, overlap="skip"))
    made = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"/schedules/{made['id']}")
    wanted = {"name": "nightly", "task": "shop.add", "args": [1, 2], "kwargs": {}, "queue": None, "priority": 7,
              "cron": "30 2 * * *", "every_s": None, "timezone": "Europe/Berlin", "missed": "once", "overlap": "skip",
              "source": "api", "paused": False, "app_id": "default", "last_run_at": None, "last_job_id": None,
              "last_error": None, "runs": 0, "missed_runs": 0}  # fmt: skip
    assert made.items() >= wanted.items()
    assert made["owner"] == ann.get("/session").json()["user"]["id"]
    following = datetime.fromisoformat(made["next_run_at"])
    assert (following.hour in (0, 1), following.minute) == (True, 30)
    assert timedelta(0) < following - datetime.now(UTC) <= timedelta(hours=25)
    assert ann.get(f"/schedules/{made['id']}").json() == made


@pytest.mark.parametrize(
    ("more", "where", "what"),
    [
        ({"cron": "61 * * * *"}, "cron", "minute: 61 is out of range; it is 0–59"),
        ({"cron": "* * *"}, "cron", "has 3 fields; there are five"),
        ({"every_s": 60}, "cron", "give cron or every_s, not both"),
        ({"cron": None}, "cron", "give cron, such as"),
        ({"cron": None, "every_s": 0.1}, "every_s", "greater than or equal to 1"),
        ({"timezone": "Europe/Berln"}, "timezone", "did you mean 'Europe/Berlin'?"),
        ({"queue": "ofload"}, "queue", "did you mean 'offload'?"),
        ({"priority": 10}, "priority", "less than or equal to 9"),
        ({"missed": "never"}, "missed", "'skip', 'once' or 'all'"),
        ({"name": ""}, "name", "at least 1 character"),
        ({"name": "a\tb"}, "name", "printable"),
        ({"cronn": "* * * * *"}, "cronn", "not permitted"),
    ],
)
def test_what_makes_no_sense_is_422_with_its_place(ann: httpx2.Client, more: Any, where: str, what: str) -> None:
    answer = ann.post("/schedules", json=body(**more))
    assert answer.status_code == 422, answer.text
    found = {".".join(map(str, error["loc"])): error["msg"] for error in answer.json()["errors"]}
    assert what in found[f"body.{where}"]


def test_an_unknown_task_or_argument_is_told(ann: httpx2.Client) -> None:
    answer = ann.post("/schedules", json=body(task="shop.ad"))
    assert (answer.status_code, answer.json()["detail"]) == (
        404, "there is no public task 'shop.ad'; did you mean 'shop.add'?",
    )  # fmt: skip
    assert ann.post("/schedules", json=body(args=[1, 2, 3])).status_code == 422
    assert ann.post("/schedules", json=body(kwargs={"c": 1})).status_code == 422


def test_a_name_is_ones_own_for_one_schedule(ann: httpx2.Client, new_caller: NewCaller) -> None:
    add(ann, name="mine")
    answer = ann.post("/schedules", json=body(name="mine"))
    assert (answer.status_code, "there is a schedule called 'mine' already" in answer.json()["detail"]) == (409, True)
    add(new_caller(), name="mine")


def test_a_request_that_is_repeated_adds_one(ann: httpx2.Client) -> None:
    given, key = body(), {"Idempotency-Key": uuid.uuid4().hex}
    first, again = (ann.post("/schedules", json=given, headers=key) for _ in range(2))
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert ann.get("/schedules").json()["total"] == 1


def test_a_change_says_only_what_is_to_be_otherwise(ann: httpx2.Client) -> None:
    made = add(ann)
    address = f"/schedules/{made['id']}"
    changed = ann.patch(address, json={"priority": 9, "args": [3, 4]}).json()
    assert changed == made | {"priority": 9, "args": [3, 4]}
    changed = ann.patch(address, json={"every_s": 3600, "priority": None}).json()
    assert (changed["cron"], changed["every_s"], changed["priority"]) == (None, 3600.0, None)
    assert changed["next_run_at"] != made["next_run_at"]
    for wrong, status in (({}, 422), ({"cron": "x"}, 422), ({"args": [1]}, 422), ({"task": "nope"}, 404), ([], 422)):
        assert ann.patch(address, json=wrong).status_code == status
    assert ann.patch(address, json={"every_s": None}).status_code == 422
    assert ann.get(address).json() == changed


def test_a_paused_one_waits_to_be_resumed(ann: httpx2.Client) -> None:
    made = add(ann, paused=True, cron=None, every_s=60)
    address = f"/schedules/{made['id']}"
    assert (made["paused"], made["next_run_at"]) == (True, None)
    for _ in range(2):
        resumed = ann.post(f"{address}/resume").json()
        assert (resumed["paused"], resumed["next_run_at"] is None) == (False, False)
    for _ in range(2):
        paused = ann.post(f"{address}/pause").json()
        assert (paused["paused"], paused["next_run_at"]) == (True, None)


def test_a_change_may_pause_and_resume(ann: httpx2.Client) -> None:
    made = add(ann)
    address = f"/schedules/{made['id']}"
    assert ann.patch(address, json={"paused": False}).json() == made
    for _ in range(2):
        assert ann.patch(address, json={"paused": True}).json() == made | {"paused": True, "next_run_at": None}
    assert ann.patch(address, json={"priority": 9}).json()["paused"] is True
    for _ in range(2):
        assert ann.patch(address, json={"paused": False}).json() == made | {"priority": 9}
    for wrong in (None, "perhaps", 2):
        assert ann.patch(address, json={"paused": wrong}).status_code == 422


def test_a_change_pauses_and_resumes_together_with_the_rest(ann: httpx2.Client) -> None:
    made = add(ann)
    address = f"/schedules/{made['id']}"
    assert ann.patch(address, json={"paused": True, "cron": "x"}).status_code == 422
    assert ann.get(address).json() == made
    paused = ann.patch(address, json={"paused": True, "every_s": 3600}).json()
    assert (paused["paused"], paused["every_s"], paused["next_run_at"]) == (True, 3600.0, None)
    resumed = ann.patch(address, json={"paused": False, "priority": 9}).json()
    assert (resumed["paused"], resumed["priority"]) == (False, 9)
    assert timedelta(0) < datetime.fromisoformat(resumed["next_run_at"]) - datetime.now(UTC) <= timedelta(hours=1)


def test_a_run_now_is_a_job_of_the_owner(ann: httpx2.Client, shop_worker: processes.Worker) -> None:
    made = add(ann, paused=True)
    answer = ann.post(f"/schedules/{made['id']}/run")
    job = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/jobs/{job['job_id']}")
    assert (job["task"], job["owner"]) == ("shop.add", made["owner"])
    done = ann.get(f"/jobs/{job['job_id']}", params={"wait": 20}).json()
    assert (done["state"], done["result"]) == ("completed", 3)
    seen = ann.get(f"/schedules/{made['id']}").json()
    assert (seen["last_job_id"], seen["runs"], seen["next_run_at"]) == (job["job_id"], 1, None)


def test_an_operators_run_is_the_owners_job(operator: httpx2.Client, ann: httpx2.Client) -> None:
    made = add(ann)
    assert operator.post(f"/schedules/{made['id']}/run").json()["owner"] == made["owner"]


def test_a_run_now_is_refused_where_runs_may_not_overlap(
    ann: httpx2.Client, tmp_path: object, shop_worker: processes.Worker
) -> None:
    gate = f"{tmp_path}/gate"
    made = add(ann, task="shop.hold", args=[gate], overlap="skip")
    running = ann.post(f"/schedules/{made['id']}/run").json()["job_id"]
    answer = ann.post(f"/schedules/{made['id']}/run")
    assert (answer.status_code, running in answer.json()["detail"]) == (409, True)
    with open(gate, "w"):
        pass
    ann.get(f"/jobs/{running}", params={"wait": 20})
    assert ann.post(f"/schedules/{made['id']}/run").status_code == 202


def test_a_removed_one_is_gone(ann: httpx2.Client) -> None:
    made = add(ann)
    assert ann.delete(f"/schedules/{made['id']}").status_code == 204
    for answer in (
        ann.get(f"/schedules/{made['id']}"),
        ann.delete(f"/schedules/{made['id']}"),
        ann.post(f"/schedules/{made['id']}/run"),
        ann.patch(f"/schedules/{made['id']}", json={"priority": 1}),
        ann.get("/schedules/nightly"),
    ):
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
    add(ann, name=made["name"])


def test_anothers_schedule_is_not_there_and_an_operator_sees_all(
    ann: httpx2.Client, new_caller: NewCaller, operator: httpx2.Client
) -> None:
    made = [add(ann) for _ in range(3)]
    address, bob = f"/schedules/{made[0]['id']}", new_caller()
    assert [a.status_code for a in (bob.get(address), bob.delete(address), bob.post(f"{address}/pause"))] == [404] * 3
    assert bob.get("/schedules").json()["items"] == []
    page = ann.get("/schedules", params={"limit": 2}).json()
    assert ([one["id"] for one in page["items"]], page["total"], page["pages"]) == (
        [made[2]["id"], made[1]["id"]], 3, 2,
    )  # fmt: skip
    everybodys = operator.get("/schedules", params={"limit": 500}).json()["items"]
    assert {one["id"] for one in made} <= {one["id"] for one in everybodys}
    assert operator.post(f"{address}/pause").json()["paused"] is True


def test_nobody_gets_in_without_a_key(shop_web: processes.Web) -> None:
    assert shop_web.http.get("/schedules").status_code == 401
    assert shop_web.http.post("/schedules", json=body()).status_code == 401


def test_every_act_is_in_the_audit_trail(ann: httpx2.Client, operator: httpx2.Client) -> None:
    made = add(ann)
    address = f"/schedules/{made['id']}"
    ann.patch(address, json={"priority": 9})
    ann.patch(address, json={"cron": "x"})
    ann.patch(address, json={"priority": 8, "paused": True})
    ann.patch(address, json={"paused": False})
    for act in ("pause", "resume", "run"):
        ann.post(f"{address}/{act}")
    ann.delete(address)
    found = operator.get("/audit", params={"action": "schedule.", "subject": made["id"]}).json()["items"]
    assert [act["action"] for act in found] == [
        f"schedule.{act}" for act in ("remove", "run", "resume", "pause", "resume", "change", "change", "add")
    ]
    assert found[5]["details"] == {
        "before": {"priority": 9, "paused": False}, "after": {"priority": 8, "paused": True},
    }  # fmt: skip
    assert found[6]["details"] == {"before": {"priority": None}, "after": {"priority": 9}}
    assert found[-1]["details"]["cron"] == "30 2 * * *"
    assert all(act["actor"].endswith("@example.com") for act in found)


def test_a_schedule_runs_and_metrics_and_status_say_so(
    shop: Shop, ann: httpx2.Client, shop_worker: processes.Worker
) -> None:
    before = ann.get("/status").json()["schedules"]
    assert (before["acting"], before["schedulers"]) == (None, [])
    made = add(ann, cron=None, every_s=1)
    beat = processes.Beat([], shop.folder / "beat.log", shop.env)
    shop.programs.append(beat)
    beat.wait_until_ready()
    job_id = eventually(lambda: ann.get(f"/schedules/{made['id']}").json()["last_job_id"], 20)
    assert ann.get(f"/jobs/{job_id}", params={"wait": 20}).json()["result"] == 3
    status = ann.get("/status").json()["schedules"]
    assert (status["active"] >= 1, status["overdue"]) == (True, 0)
    assert [one["pid"] for one in status["schedulers"] if one["name"] == status["acting"]] == [beat.pid]
    metrics = ann.get("/metrics").text
    assert 'platform_schedulers{role="acting"} 1.0' in metrics
    assert 'platform_schedule_runs_total{outcome="fired"}' in metrics
    assert 'platform_schedule_lateness_seconds_count{queue="offload",task="shop.add"}' in metrics
    ann.delete(f"/schedules/{made['id']}")
    beat.stop()


def test_a_schedule_of_a_module_is_changed_only_there(shop: Shop, operator: httpx2.Client, ann: httpx2.Client) -> None:
    (shop.folder / "clockwork.py").write_text(
        "from tasks import app\n"
        'app.conf.beat_schedule = {"often": {"task": "shop.add", "schedule": 3600, "args": (5, 6)}}\n'
    )
    env = shop.env | {"PLATFORM_IMPORTS": "shop,clockwork"}
    with processes.Beat([], shop.folder / "beat-code.log", env) as beat:
        beat.wait_until_ready()

        def of_code() -> list[dict[str, Any]]:
            found = operator.get("/schedules", params={"limit": 500}).json()["items"]
            return [one for one in found if one["source"] == "code"]

        (made,) = eventually(of_code, 10)
        assert (made["name"], made["every_s"], made["args"], made["owner"]) == ("often", 3600.0, [5, 6], None)
        address = f"/schedules/{made['id']}"
        assert ann.get(address).status_code == 404
        for answer in (operator.delete(address), operator.patch(address, json={"priority": 1})):
            assert (answer.status_code, "written in a module's beat_schedule" in answer.json()["detail"]) == (409, True)
        assert operator.post(f"{address}/pause").json()["paused"] is True
        assert operator.post(f"{address}/resume").json()["paused"] is False
        assert operator.patch(address, json={"paused": True}).json()["paused"] is True
        assert operator.patch(address, json={"paused": False, "priority": 1}).status_code == 409
        assert operator.patch(address, json={"paused": False}).json()["paused"] is False
        job = operator.post(f"{address}/run").json()
        assert operator.get(f"/jobs/{job['job_id']}", params={"wait": 20}).json()["task"] == "shop.add"
