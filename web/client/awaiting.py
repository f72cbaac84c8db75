"""The asynchronous client: the same methods, awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx2

from web.client import functions, jobs, resources, service, sessions
from web.client.connection import DEFAULT_TIMEOUT_S, Connection
from web.client.exchange import Flow, Request, checked
from web.client.methods import describe
from web.client.models import FunctionResult, Job, SessionInfo, State
from web.client.retrying import ASYNC_RETRYING, Patience, reporting_trouble

P = ParamSpec("P")
T = TypeVar("T")


class Carrier:
    """Carries a flow's requests to the server and the answers back."""

    def __init__(self, connection: Connection, transport: httpx2.AsyncBaseTransport | None):
        self.connection = connection
        self.http = httpx2.AsyncClient(**connection.settings(), transport=transport)

    async def run(self, flow: Flow[T]) -> T:
        try:
            request = next(flow)
            while True:
                request = flow.send(await self._send(request))
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


class Resources(Topic):
    """``client.resources``"""

    put = method(resources.put)
    get = method(resources.get)
    delete = method(resources.delete)
    action = method(resources.action)


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
        self.resources = Resources(self._carrier)

    session = method(sessions.session)
    socket_token = method(sessions.socket_token)
    health = method(service.health)
    ready = method(service.ready)
    status = method(service.status)

    async def call(self, module: str, function: str, /, **arguments: Any) -> FunctionResult:
        """Call a registered function and wait for its result; raises as ``Client.call``."""
        flow = functions.call(module, function, arguments, self._carrier.connection.timeout_s)
        return await self._carrier.run(flow)

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
