"""The SDK against the real thing: gunicorn, a worker, the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import httpx2
import pytest

from tests import processes
from tests.integration.conftest import Shop
from web.client import (
    APIError,
    AsyncClient,
    AuthenticationError,
    Client,
    Job,
    NotFoundError,
    ServerUnreachable,
    ServiceUnavailable,
    WaitTimeout,
)

pytestmark = pytest.mark.usefixtures("shop_worker")


@pytest.fixture
def key(ann: httpx2.Client) -> str:
    """The API key of a user who is new for each test."""
    return ann.headers["Authorization"].removeprefix("Bearer ")


@pytest.fixture
def client(shop_web: processes.Web, key: str) -> Iterator[Client]:
    with Client(shop_web.url, key) as made:
        yield made


def test_a_job_is_submitted_waited_for_and_read(client: Client) -> None:
    submitted = client.jobs.submit("shop.add", 20, 22, priority=9)
    assert (submitted.task, submitted.priority, submitted.is_final) == ("shop.add", 9, submitted.is_final)
    done = client.jobs.wait(submitted.job_id, timeout_s=20)
    assert (done.state, done.result) == ("completed", 42)
    assert client.jobs.get(submitted.job_id) == done


def test_submitting_may_wait_for_the_outcome(client: Client) -> None:
    assert client.jobs.submit("shop.add", kwargs={"a": 1, "b": 2}, wait_s=20).result == 3


def test_waiting_too_long_for_a_job_raises_and_leaves_it(client: Client) -> None:
    job = client.jobs.submit("shop.add", 1, 1, countdown=600)
    with pytest.raises(WaitTimeout, match="still scheduled"):
        client.jobs.wait(job.job_id, timeout_s=0.2)
    assert client.jobs.cancel(job.job_id).state == "cancelled"


def test_a_failed_job_says_why(client: Client) -> None:
    job = client.jobs.submit("shop.broken", max_retries=0, wait_s=20)
    assert (job.state, job.error and job.error.type) == ("failed", "ValueError")


def test_lists_hold_all_of_ones_own_jobs(client: Client) -> None:
    made = {client.jobs.submit("shop.add", n, n, countdown=600).job_id for n in range(5)}
    assert {job.job_id for job in client.jobs.list(state="scheduled", task="shop.add")} == made
    assert list(client.jobs.list(state="failed")) == []


def test_a_schedule_is_kept_changed_run_and_removed(client: Client) -> None:
    made = client.schedules.add("nightly", "shop.add", 1, 2, cron="30 2 * * *", timezone="Europe/Berlin")
    assert (made.next_run_at and made.next_run_at.minute, made.runs) == (30, 0)
    assert client.schedules.change(made.id, every_s=3600).cron is None
    assert client.schedules.pause(made.id).next_run_at is None
    assert client.jobs.wait(client.schedules.run(made.id).job_id, timeout_s=20).result == 3
    assert client.schedules.resume(made.id).runs == 1
    assert [one.id for one in client.schedules.list()] == [made.id]
    client.schedules.remove(made.id)
    with pytest.raises(NotFoundError):
        client.schedules.get(made.id)


def test_a_function_is_called_by_name(client: Client) -> None:
    assert client.call("Calc", "multiply", a=6, b=7).result == 42


def test_a_function_that_never_answers_at_once_is_followed(client: Client) -> None:
    assert client.call("Calc", "later", a=5).result == 5


def test_a_functions_failure_is_an_error(client: Client) -> None:
    with pytest.raises(APIError, match=r"Calc\.fail failed: ValueError: on purpose"):
        client.call("Calc", "fail", text="on purpose")


def test_a_resource_lives_from_put_to_delete(client: Client) -> None:
    address = ("acme.shelf", "box", "red")
    assert client.resources.put(*address, {"colour": "red"}, wait_s=20).state == "completed"
    assert client.resources.get(*address).properties == {"type": "box", "name": "red", "colour": "red"}
    restarted = client.resources.action(*address, "restart", {"hard": True}, wait_s=20)
    assert restarted.result == {"restarted": "red", "arguments": {"hard": True}}
    assert client.resources.delete(*address, wait_s=20).result == {"gone": "red"}
    with pytest.raises(NotFoundError, match=r"acme\.shelf/box/red"):
        client.resources.get(*address)


def test_signing_in_with_a_password(shop_web: processes.Web, client: Client) -> None:
    email = client.session().user.email
    with Client(shop_web.url) as other:
        with pytest.raises(AuthenticationError):
            other.session()
        with pytest.raises(AuthenticationError, match="password is wrong"):
            other.sign_in(email, "wrong")
        assert other.sign_in(email, "correct horse").user.email == email
        assert other.session().user.email == email
        assert other.socket_token(device_id="phone", ttl_s=60).token


def test_the_services_state(client: Client) -> None:
    assert client.health() == {"status": "ok"}
    assert client.ready().is_ready
    assert client.status()["workers"]


def test_mistakes_come_with_the_servers_advice(client: Client) -> None:
    with pytest.raises(NotFoundError, match=r"did you mean 'shop\.add'"):
        client.jobs.submit("shop.ad")
    with pytest.raises(APIError) as caught:
        client.jobs.submit("shop.add", 1, 2, priority=12)
    assert (caught.value.status_code, caught.value.errors[0]["loc"]) == (422, ["body", "priority"])


def test_another_users_job_is_not_found(
    shop_web: processes.Web, client: Client, new_caller: Callable[..., httpx2.Client]
) -> None:
    job = client.jobs.submit("shop.add", 1, 2)
    other_key = new_caller().headers["Authorization"].removeprefix("Bearer ")
    with Client(shop_web.url, other_key) as other, pytest.raises(NotFoundError):
        other.jobs.get(job.job_id)


def test_many_at_once_with_asyncio(shop_web: processes.Web, key: str) -> None:
    async def sum_up() -> list[Job]:
        async with AsyncClient(shop_web.url, key) as client:
            jobs = await asyncio.gather(*(client.jobs.submit("shop.add", n, n, wait_s=20) for n in range(20)))
            assert (await client.call("Calc", "multiply", a=6, b=7)).result == 42
            assert len([job async for job in client.jobs.list(task="shop.add")]) == 20
            return jobs

    assert [job.result for job in asyncio.run(sum_up())] == [n + n for n in range(20)]


def test_a_server_that_stopped_is_unreachable(web: Callable[..., processes.Web]) -> None:
    stopped = web()
    stopped.stop()
    with Client(stopped.url, timeout_s=0.5) as client, pytest.raises(ServerUnreachable, match="got no answer"):
        client.health()


def test_a_broker_that_is_away_is_told_with_the_time_to_come_back(shop: Shop, key: str) -> None:
    away = shop.start_web(broker_url="redis://127.0.0.1:1/0", redis_url=shop.redis_url)
    with Client(away.url, key) as client, pytest.raises(ServiceUnavailable) as caught:
        client.jobs.submit("shop.add", 1, 2)
    assert caught.value.retry_after == 2
