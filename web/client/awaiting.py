"""The asynchronous client: the same methods, awaited."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

import httpx2

from web.client import batches, bulk, deadletters, documents, functions, jobs, resources, schedules, service, sessions
from web.client.connection import DEFAULT_TIMEOUT_S, Connection
from web.client.errors import AppError
from web.client.exchange import MAX_WAIT_S, Flow, Request, checked
from web.client.methods import describe
from web.client.models import (
    Accepted,
    Batch,
    BatchItem,
    BatchState,
    DeadLetter,
    DeathReason,
    Document,
    FunctionResult,
    ItemState,
    Job,
    LetterState,
    Schedule,
    SessionInfo,
    State,
)
from web.client.retrying import ASYNC_RETRYING, Patience, reporting_trouble
from web.client.sockets.awaiting import AsyncSocket
from web.client.sockets.awaiting import Token as SocketToken
from web.client.sockets.line import MAX_WAITING, Line

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F")
Operations = Sequence[Mapping[str, Any]]


class Carrier:
    """Carries a flow's requests to the server and the answers back."""

    def __init__(self, connection: Connection, transport: httpx2.AsyncBaseTransport | None):
        self.connection = connection
        self.http = httpx2.AsyncClient(**connection.settings(), transport=transport)

    async def run(self, flow: Flow[T]) -> T:
        try:
            request = next(flow)
            while True:
                try:
                    response = await self._send(request)
                except AppError as exc:
                    request = flow.throw(exc)
                else:
                    request = flow.send(response)
        except StopIteration as done:
            return done.value

    async def _send(self, request: Request) -> httpx2.Response:
        patience = Patience(request, self.connection.timeout_s)
        return await ASYNC_RETRYING(patience.pause_after, self._try, request, patience)

    async def _try(self, request: Request, patience: Patience) -> httpx2.Response:
        with reporting_trouble(request, self.connection.base_url):
            response = await self.http.request(**self.connection.arguments(request, patience.left_s))
        return checked(response, request)


class Topic:
    """Some of a client's methods."""

    def __init__(self, carrier: Carrier):
        self._carrier = carrier


def method(endpoint: Callable[P, Flow[T]]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """The endpoint as a method of a Topic."""

    async def run(self: Topic, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._carrier.run(endpoint(*args, **kwargs))

    describe(run, endpoint)
    return run


class Jobs(Topic):
    """``client.jobs``"""

    submit = method(jobs.submit)
    submit_many = method(bulk.submit_many)
    get = method(jobs.get)
    wait = method(jobs.wait)
    cancel = method(jobs.cancel)

    async def list(
        self, *, state: State | None = None, queue: str | None = None, task: str | None = None
    ) -> AsyncIterator[Job]:
        """All jobs that match, newest first, fetched as they are read (see ``web.client.jobs.Listing``)."""
        listing = jobs.Listing(state, queue, task)
        while listing.has_more:
            for job in await self._carrier.run(listing.next()):
                yield job


class Batches(Topic):
    """``client.batches``"""

    create = method(batches.create)
    get = method(batches.get)
    add = method(batches.add)
    retry = method(batches.retry)
    cancel = method(batches.cancel)

    async def wait(
        self,
        batch_id: str,
        timeout_s: float | None = None,
        on_progress: Callable[[Batch], Any] | None = None,
        look_s: float = batches.LOOK_S,
    ) -> Batch:
        """The batch once it has ended, however it did; None waits for ever.

        ``on_progress`` is called with it every ``look_s`` seconds, and at its end. Raises WaitTimeout, NotFoundError.
        """
        waiting = batches.Waiting(batch_id, timeout_s, look_s if on_progress else MAX_WAIT_S)
        while True:
            batch = await self._carrier.run(waiting.next())
            if on_progress is not None:
                on_progress(batch)
            if waiting.is_over:
                return batch

    async def list(self, *, state: BatchState | None = None, task: str | None = None) -> AsyncIterator[Batch]:
        """All batches that match, newest first, fetched as they are read."""
        listing = batches.Listing(state, task)
        while listing.has_more:
            for one in await self._carrier.run(listing.next()):
                yield one

    async def items(self, batch_id: str, *, state: ItemState | None = None) -> AsyncIterator[BatchItem]:
        """Its items in a state, or all, in order, fetched as they are read."""
        listing = batches.Items(batch_id, state)
        while listing.has_more:
            for one in await self._carrier.run(listing.next()):
                yield one

    async def results(self, batch_id: str, *, after: int = -1) -> AsyncIterator[BatchItem]:
        """What became of the items that have ended, in order, fetched as they are read."""
        listing = batches.Results(batch_id, after)
        while listing.has_more:
            for one in await self._carrier.run(listing.next()):
                yield one


class DeadLetters(Topic):
    """``client.dead_letters``; for operators"""

    get = method(deadletters.get)
    edit = method(deadletters.edit)
    replay = method(deadletters.replay)
    replay_all = method(deadletters.replay_all)
    discard = method(deadletters.discard)

    async def list(
        self,
        *,
        reason: DeathReason | None = None,
        task: str | None = None,
        queue: str | None = None,
        state: LetterState = "dead",
    ) -> AsyncIterator[DeadLetter]:
        """All that match, last died first, fetched as they are read (see ``web.client.deadletters.Listing``)."""
        listing = deadletters.Listing(reason, task, queue, state)
        while listing.has_more:
            for letter in await self._carrier.run(listing.next()):
                yield letter


class Schedules(Topic):
    """``client.schedules``"""

    add = method(schedules.add)
    get = method(schedules.get)
    change = method(schedules.change)
    remove = method(schedules.remove)
    pause = method(schedules.pause)
    resume = method(schedules.resume)
    run = method(schedules.run)

    async def list(self) -> AsyncIterator[Schedule]:
        """All of your own, operators everybody's, newest first, fetched as they are read."""
        listing = schedules.Listing()
        while listing.has_more:
            for schedule in await self._carrier.run(listing.next()):
                yield schedule


class Resources(Topic):
    """``client.resources``"""

    put = method(resources.put)
    get = method(resources.get)
    delete = method(resources.delete)
    action = method(resources.action)


class Documents(Topic, Generic[F]):
    """``client.model("note")``: the documents of one type.

    A change goes through the pipeline: without ``wait_s`` its method returns what was Accepted, with it the stored
    Document, or raises WaitTimeout after so many seconds while the job goes on. ``if_version`` refuses a change
    unless the document has that version. Raises NotFoundError for an unknown type, a document that is not there or
    another's; APIError: 422 for what does not fit the model, with ``errors``, 409 for a version or ``test`` that
    does not hold.
    """

    def __init__(self, carrier: Carrier, kind: documents.Kind[F]):
        super().__init__(carrier)
        self._kind = kind

    @overload
    async def create(
        self, fields: F | Mapping[str, Any], *, wait_s: float, idempotency_key: str | None = None
    ) -> Document[F]: ...
    @overload
    async def create(
        self, fields: F | Mapping[str, Any], *, wait_s: None = None, idempotency_key: str | None = None
    ) -> Accepted: ...
    async def create(
        self, fields: F | Mapping[str, Any], *, wait_s: float | None = None, idempotency_key: str | None = None
    ) -> Document[F] | Accepted:
        """A new document, yours; with ``idempotency_key`` repeating the call makes no other."""
        return await self._carrier.run(self._kind.create(fields, wait_s, idempotency_key))

    async def get(self, id: str) -> Document[F]:
        """The document as it was stored last."""
        return await self._carrier.run(self._kind.get(id))

    @overload
    async def patch(
        self, id: str, operations: Operations, *, wait_s: float, if_version: int | None = None
    ) -> Document[F]: ...
    @overload
    async def patch(
        self, id: str, operations: Operations, *, wait_s: None = None, if_version: int | None = None
    ) -> Accepted: ...
    async def patch(
        self, id: str, operations: Operations, *, wait_s: float | None = None, if_version: int | None = None
    ) -> Document[F] | Accepted:
        """Change it by RFC 6902: ``patch(id, [{"op": "replace", "path": "/title", "value": "new"}])``; all or none."""
        return await self._carrier.run(self._kind.patch(id, operations, if_version, wait_s))

    async def delete(self, id: str, *, wait_s: float | None = None, if_version: int | None = None) -> Accepted:
        """Delete it; with ``wait_s`` it is gone when this returns."""
        return await self._carrier.run(self._kind.delete(id, if_version, wait_s))

    async def list(self, filter: Mapping[str, Any] | None = None) -> AsyncIterator[Document[F]]:
        """All that match, fetched as they are read: ``list({"status": "open", "n": {"$gte": 3}})``."""
        listing = documents.Listing(self._kind, filter)
        while listing.has_more:
            for document in await self._carrier.run(listing.next()):
                yield document


class AsyncClient(Topic):
    """The platform's HTTP API for asyncio: as ``Client``, with ``await``, ``async for`` and ``async with``."""

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
    ):
        super().__init__(Carrier(Connection(base_url, api_key, timeout_s), transport))
        self.jobs = Jobs(self._carrier)
        self.batches = Batches(self._carrier)
        self.dead_letters = DeadLetters(self._carrier)
        self.schedules = Schedules(self._carrier)
        self.resources = Resources(self._carrier)

    session = method(sessions.session)
    socket_token = method(sessions.socket_token)
    revoke_device = method(sessions.revoke_device)
    health = method(service.health)
    ready = method(service.ready)
    status = method(service.status)

    @overload
    def model(self, type: str) -> Documents[dict[str, Any]]: ...
    @overload
    def model(self, type: str, fields: builtins.type[F]) -> Documents[F]: ...
    def model(self, type: str, fields: Any = dict) -> Documents[Any]:
        """The documents of a type; ``fields``: what theirs are read as, a dataclass or msgspec.Struct."""
        return Documents(self._carrier, documents.Kind(type, fields))

    async def call(self, module: str, function: str, /, **arguments: Any) -> FunctionResult:
        """Call a registered function and wait for its result; raises as ``Client.call``."""
        flow = functions.call(module, function, arguments, self._carrier.connection.timeout_s)
        return await self._carrier.run(flow)

    def socket(
        self,
        *,
        device_id: str | None = None,
        token: SocketToken | None = None,
        base_url: str | None = None,
        max_waiting: int = MAX_WAITING,
    ) -> AsyncSocket:
        """What happens, while it happens; to be used in an ``async with`` block. See ``Client.socket``."""

        async def fresh_token() -> str:
            return (await self.socket_token(device_id)).token

        line = Line(base_url or self._carrier.connection.base_url, self._carrier.connection.timeout_s)
        return AsyncSocket(line, token or fresh_token, max_waiting)

    async def sign_in(self, email: str, password: str) -> SessionInfo:
        """A new session, as which this client asks from now on. Raises AuthenticationError, RateLimitError."""
        session = await self._carrier.run(sessions.sign_in(email, password))
        self._carrier.connection.credential = session.access_token
        return session

    async def aclose(self) -> None:
        """End the connections; nothing can be asked any more."""
        await self._carrier.http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"AsyncClient({self._carrier.connection})"
