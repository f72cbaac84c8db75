"""Health, readiness, metrics and Flower of a running platform."""

from __future__ import annotations

import httpx2
import pytest

from tests import processes
from tests.integration.asking import ended, submit
from tests.integration.conftest import Shop
from tests.waiting import eventually


def sample(text: str, line_start: str) -> float:
    """The value of the one metric line that starts so; 0 if there is none."""
    found = [line for line in text.splitlines() if line.startswith(line_start)]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


@pytest.mark.usefixtures("shop_worker")
def test_it_is_alive_ready_and_tells_its_status(ann: httpx2.Client) -> None:
    assert ann.get("/health").json() == {"status": "ok"}
    ready = ann.get("/ready")
    assert (ready.status_code, ready.json()["checks"]) == (200, {"broker": "ok", "records": "ok", "database": "ok"})
    workers = eventually(lambda: ann.get("/status").json()["workers"])
    assert set(workers[0]["queues"]) == {"offload", "batch", "pipeline.write", "pipeline.route", "fanout"}


@pytest.mark.usefixtures("shop_worker")
def test_jobs_are_counted_by_outcome_once_whatever_process_ran_them(shop: Shop, ann: httpx2.Client) -> None:
    done = 'platform_jobs_total{outcome="completed",queue="offload",task="shop.add"}'
    failed = 'platform_jobs_total{outcome="failed",queue="offload",task="shop.broken"}'
    runs = 'platform_job_run_seconds_count{queue="offload",task="shop.add"}'
    before = ann.get("/metrics").text
    with shop.start_web(web_workers=2) as second:
        for job in [submit(ann, "add", n, n) for n in range(6)] + [submit(ann, "broken")]:
            ended(ann, job["job_id"])
        for text in (ann.get("/metrics").text, httpx2.get(f"{second.url}/metrics").text):
            assert sample(text, done) == sample(before, done) + 6
            assert sample(text, failed) == sample(before, failed) + 1
            assert sample(text, runs) == sample(before, runs) + 6


def test_http_requests_are_counted_over_all_gunicorn_workers(shop: Shop) -> None:
    with shop.start_web(web_workers=3) as web:
        line = 'platform_http_requests_total{method="GET",route="/openapi.json",status="200"}'
        for _ in range(30):
            httpx2.get(f"{web.url}/openapi.json")  # a connection each, so that every worker gets some
        assert sample(httpx2.get(f"{web.url}/metrics").text, line) == 30


def test_a_worker_with_a_health_port_answers_there_as_the_web_does(shop: Shop, ann: httpx2.Client) -> None:
    port = processes.free_port()
    with shop.start_worker(health_port=port):
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: httpx2.get(f"{url}/ready").status_code == 200)
        for path in ("/health", "/ready"):
            assert httpx2.get(url + path).json() == ann.get(path).json()
        assert httpx2.get(f"{url}/status").json().keys() == ann.get("/status").json().keys()
        assert "platform_workers" in httpx2.get(f"{url}/metrics").text


def test_what_a_health_port_refuses_is_a_problem_document(shop: Shop, ann: httpx2.Client) -> None:
    port = processes.free_port()
    with shop.start_worker(health_port=port):
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: httpx2.get(f"{url}/ready").status_code == 200)
        for answer, status in ((httpx2.get(f"{url}/nowhere"), 404), (httpx2.post(f"{url}/ready"), 501)):
            assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
            assert answer.json()["status"] == status
            assert answer.json().keys() == ann.get("/nowhere").json().keys()
        assert "/nowhere; there are /health, /ready" in httpx2.get(f"{url}/nowhere").json()["detail"]


@pytest.mark.usefixtures("shop_worker")
def test_flower_and_its_api_refuse_strangers(shop: Shop) -> None:
    port = processes.free_port()
    env = shop.env | {"PLATFORM_FLOWER_PORT": str(port)}
    command = [processes.script("celery"), "-A", "platform", "flower"]
    with processes.Program(command, shop.folder / "flower.log", env) as flower:
        flower.wait_for("Visit me at")
        url = f"http://127.0.0.1:{port}"
        password = (shop.folder / "d" / "secrets" / "flower_password").read_text()
        paths = ["/", "/workers", "/tasks", "/broker", "/api/workers", "/api/tasks", "/metrics"]
        for path in paths:
            assert httpx2.get(url + path).status_code == 401, path
            assert httpx2.get(url + path, auth=("admin", "wrong")).status_code == 401, path
        assert httpx2.post(f"{url}/api/task/async-apply/shop.add").status_code == 401
        workers = httpx2.get(f"{url}/api/workers", params={"refresh": "1"}, auth=("admin", password), timeout=20)
        assert (workers.status_code, any(name.startswith("shop") for name in workers.json())) == (200, True)
        assert httpx2.get(f"{url}/broker", auth=("admin", password)).status_code == 200


@pytest.mark.usefixtures("shop_worker")
def test_inspect_ping_is_answered(shop: Shop) -> None:
    answer = shop.celery("inspect", "ping")
    assert (answer.returncode, "pong" in answer.stdout) == (0, True), answer.stderr
