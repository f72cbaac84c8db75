"""The SDK's sockets against the real thing: gunicorn, a worker, the broker, and a front door that is restarted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from tests import processes
from tests.integration.conftest import Shop
from tests.integration.sockets.door import Door
from web.client import (
    AsyncClient,
    AuthenticationError,
    CallFailed,
    CallPending,
    Client,
    Document,
    Event,
    Gap,
    JobChanged,
    ModelCreated,
    ModelDeleted,
    ModelUpdated,
    Position,
    Refused,
    Socket,
    SocketClosed,
    document_after,
)

WAIT_S = 20.0
DONE = [{"op": "replace", "path": "/status", "value": "completed"}]

pytestmark = pytest.mark.usefixtures("shop_worker")


@pytest.fixture
def new_client(shop_web: processes.Web, new_caller: Callable[..., httpx2.Client]) -> Iterator[Callable[..., Client]]:
    """``new_client("operator", url)``: of a user who is new, at the shop's front door or another one."""
    with ExitStack() as clients:

        def make(role: str = "user", url: str | None = None) -> Client:
            key = new_caller(role).headers["Authorization"].removeprefix("Bearer ")
            return clients.enter_context(Client(url or shop_web.url, key, timeout_s=WAIT_S))

        yield make


@pytest.fixture
def client(new_client: Callable[..., Client]) -> Client:
    return new_client()


@pytest.fixture
def socket(client: Client) -> Iterator[Socket]:
    with client.socket() as opened:
        yield opened


def create(client: Client, title: str, **fields: Any) -> Document[dict[str, Any]]:
    return client.model("task").create({"title": title, **fields}, wait_s=WAIT_S)


def mine(client: Client) -> dict[str, Any]:
    """A filter for what this test makes: the tasks of a tenant are everybody's."""
    return {"assignee": client.session().user.id}


# -- documents


def test_a_document_is_followed_through_its_life(client: Client, socket: Socket) -> None:
    me = mine(client)
    tasks = socket.subscribe(model="task", filter=me)
    stored = create(client, "bread", **me)
    client.model("task").patch(stored.id, DONE, wait_s=WAIT_S)
    told = [tasks.next(WAIT_S), tasks.next(WAIT_S)]
    assert [type(event) for event in told] == [ModelCreated, ModelUpdated]
    document = None
    for event in told:
        document = document_after(document, event)
    now = client.model("task").get(stored.id)
    assert document is not None
    assert (document["version"], document["status"], document["title"]) == (now.version, "completed", "bread")
    client.model("task").delete(stored.id, wait_s=WAIT_S)
    last = tasks.next(WAIT_S)
    assert isinstance(last, ModelDeleted)
    assert (last.id, last.version, document_after(document, last)) == (stored.id, 3, None)


def test_documents_enter_and_leave_a_filter(client: Client, socket: Socket) -> None:
    me = mine(client)
    open_ones = socket.subscribe(model="task", filter={**me, "status": "open"})
    stored = create(client, "bread", status="new", **me)
    for status in ("open", "closed"):
        client.model("task").patch(stored.id, [{**DONE[0], "value": status}], wait_s=WAIT_S)
    entered, left = open_ones.next(WAIT_S), open_ones.next(WAIT_S)
    assert isinstance(entered, ModelCreated)
    assert isinstance(left, ModelDeleted)
    assert (entered.entered, entered.version, left.left, left.version) == (True, 2, True, 3)


def test_another_program_goes_on_where_one_stopped(client: Client, socket: Socket) -> None:
    me = mine(client)
    before = socket.subscribe(model="task", filter=me)
    first = create(client, "first", **me)
    assert _id(before.next(WAIT_S)) == first.id
    second = create(client, "second", **me)
    with client.socket() as other:
        after = other.subscribe(model="task", filter=me, since=before.position)
        assert _id(after.next(WAIT_S)) == second.id
        everything = other.subscribe(model="task", filter=me, since=0)
        assert [_id(everything.next(WAIT_S)) for _ in range(2)] == [first.id, second.id]


def test_a_place_that_is_forgotten_is_told(client: Client, socket: Socket) -> None:
    me = mine(client)
    stored = create(client, "kept", **me)
    tasks = socket.subscribe(model="task", filter=me, since=Position("an-epoch-long-gone", 5))
    assert isinstance(tasks.next(WAIT_S), Gap)
    assert _id(tasks.next(WAIT_S)) == stored.id


def test_what_cannot_be_followed_is_refused_with_advice(socket: Socket) -> None:
    with pytest.raises(Refused, match="task") as caught:
        socket.subscribe(model="tusk")
    assert caught.value.code == "unknown_model"
    with pytest.raises(Refused) as caught:
        socket.subscribe(model="task", filter={"n": {"$near": 1}})
    assert caught.value.code == "bad_filter"
    assert socket.ping() < WAIT_S


def test_after_unsubscribing_the_server_tells_nothing_more(client: Client, socket: Socket) -> None:
    tasks = socket.subscribe(model="task")
    tasks.unsubscribe()
    create(client, "unheard")
    room = socket.subscribe(room="quiet")
    socket.publish("quiet", "end")
    assert socket.next(WAIT_S).channel == room.channel
    assert list(tasks) == []


# -- rooms, calls, jobs


def test_a_room_is_heard_by_all_its_members(new_client: Callable[..., Client]) -> None:
    with new_client().socket() as ann, new_client().socket() as ben:
        rooms = [one.subscribe(room="lobby") for one in (ann, ben)]
        place = ann.publish("lobby", {"text": "hello"})
        for room in rooms:
            heard = room.next(WAIT_S)
            assert (heard.event, heard.data, heard.offset) == ("message", {"text": "hello"}, place.offset)


def test_a_function_is_called(socket: Socket, client: Client) -> None:
    answer = socket.call("Calc", "multiply", a=6, b=7)
    assert answer.result == 42
    assert client.jobs.get(answer.job_id).state == "completed"


def test_a_function_that_fails_says_why_and_which_job(socket: Socket, client: Client) -> None:
    with pytest.raises(CallFailed, match="ValueError: no") as caught:
        socket.call("Calc", "fail", text="no")
    assert type(caught.value) is CallFailed
    assert client.jobs.get(caught.value.job_id or "").error is not None
    with pytest.raises(Refused, match="multiply") as refused:
        socket.call("Calc", "multiplu")
    assert refused.value.code == "unknown_function"


def test_a_function_that_takes_longer_is_followed_as_a_job(new_client: Callable[..., Client], shop: Shop) -> None:
    impatient = shop.start_web(function_wait_s=0.1)
    with new_client(url=impatient.url).socket() as socket:
        with pytest.raises(CallPending) as caught:
            socket.call("Calc", "double", n=5)
        job = last_state(socket, caught.value.job_id or "")
        assert (job.state, job.result) == ("completed", 10)


def test_a_job_is_followed_to_its_end(socket: Socket, client: Client) -> None:
    submitted = client.jobs.submit("shop.slow", 1, kwargs={"steps": 5})
    assert last_state(socket, submitted.job_id).result == "done"


def last_state(socket: Socket, job_id: str) -> Any:
    """The final record of a job, whose records come in order."""
    following, seen = socket.follow_job(job_id), []
    while not seen or not seen[-1].is_final:
        event = following.next(WAIT_S)
        assert isinstance(event, JobChanged)
        seen.append(event.job)
    done = [job.progress.done for job in seen if job.progress]
    assert done == sorted(done)
    following.unsubscribe()
    return seen[-1]


def test_another_users_job_cannot_be_followed(new_client: Callable[..., Client], socket: Socket) -> None:
    job = new_client().jobs.submit("shop.add", 1, 2)
    with pytest.raises(Refused) as caught:
        socket.follow_job(job.job_id)
    assert caught.value.code == "not_found"


# -- who may


def test_a_key_that_is_none_does_not_connect(shop_web: processes.Web) -> None:
    with Client(shop_web.url, "pk_wrong") as nobody, pytest.raises(AuthenticationError):
        nobody.socket().open()
    with Client(shop_web.url) as nobody, pytest.raises(SocketClosed) as caught:
        nobody.socket(token="wrong").open()
    assert caught.value.code == 4401


def test_the_key_itself_is_a_credential_as_well(client: Client, ann: httpx2.Client) -> None:
    key = ann.headers["Authorization"].removeprefix("Bearer ")
    with client.socket(token=key) as opened:
        assert opened.ping() < WAIT_S


def test_a_device_has_the_name_it_was_given(client: Client) -> None:
    with client.socket(device_id="tablet-7") as opened:
        assert opened.device_id == "tablet-7"


# -- restarts


@pytest.fixture(scope="module")
def door(shop: Shop) -> Door:
    """The one that is restarted; the shop's own stays open."""
    return Door(shop)


@pytest.mark.parametrize("how", ["close", "kill"])
def test_what_happened_during_a_restart_comes_first_and_nothing_twice(
    client: Client, new_client: Callable[..., Client], door: Door, how: str
) -> None:
    me = mine(client)
    with new_client(url=door.url).socket() as away:
        tasks = away.subscribe(model="task", filter=me)
        lobby = away.subscribe(room=f"restart-{how}")
        seen = [create(client, "before", **me).id]
        assert _id(tasks.next(WAIT_S)) == seen[0]
        getattr(door, how)()
        missed = [create(client, f"meanwhile {n}", **me).id for n in range(3)]
        with client.socket() as here:
            here.publish(f"restart-{how}", "meanwhile")
        door.open()
        assert [_id(tasks.next(WAIT_S)) for _ in missed] == missed
        assert lobby.next(WAIT_S).data == "meanwhile"
        after = create(client, "after", **me).id
        assert _id(tasks.next(WAIT_S)) == after, "something came twice"
        assert away.call("Calc", "multiply", a=2).result == 4


def test_an_asynchronous_program_survives_a_restart(client: Client, ann: httpx2.Client, door: Door) -> None:
    me, key = mine(client), ann.headers["Authorization"].removeprefix("Bearer ")

    async def follow() -> list[str]:
        async with AsyncClient(door.url, key, timeout_s=WAIT_S) as there, there.socket() as socket:
            tasks = await socket.subscribe(model="task", filter=me)
            products = await asyncio.gather(*(socket.call("Calc", "multiply", a=n) for n in range(5)))
            assert [product.result for product in products] == [0, 2, 4, 6, 8]
            await asyncio.to_thread(door.close)
            made = [(await asyncio.to_thread(create, client, f"{n}", **me)).id for n in range(3)]
            await asyncio.to_thread(door.open)
            assert [_id(await tasks.next(WAIT_S)) for _ in made] == made
            made.append((await asyncio.to_thread(create, client, "last", **me)).id)
            async for event in tasks:
                assert _id(event) == made[-1]
                break
            return made

    assert len(asyncio.run(follow())) == 4


def _id(event: Event) -> str:
    assert isinstance(event, ModelCreated), event
    return event.id
