"""The blocking client."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from web.client.retrying import RETRYING, Patience, reporting_trouble
from web.client.sockets.blocking import Socket
from web.client.sockets.blocking import Token as SocketToken
from web.client.sockets.line import MAX_WAITING, Line

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F")
Operations = Sequence[Mapping[str, Any]]


class Carrier:
    """Carries a flow's requests to the server and the answers back; safe to share between threads."""

    def __init__(self, connection: Connection, transport: httpx2.BaseTransport | None):
        self.connection = connection
        self.http = httpx2.Client(**connection.settings(), transport=transport)

    def run(self, flow: Flow[T]) -> T:
        try:
            request = next(flow)
            while True:
                try:
                    response = self._send(request)
                except AppError as exc:
                    request = flow.throw(exc)
                else:
                    request = flow.send(response)
        except StopIteration as done:
            return done.value

    def _send(self, request: Request) -> httpx2.Response:
        patience = Patience(request, self.connection.timeout_s)
        return RETRYING(patience.pause_after, self._try, request, patience)

    def _try(self, request: Request, patience: Patience) -> httpx2.Response:
        with reporting_trouble(request, self.connection.base_url):
            response = self.http.request(**self.connection.arguments(request, patience.left_s))
        return checked(response, request)


class Topic:
    """Some of a client's methods."""

    def __init__(self, carrier: Carrier):
        self._carrier = carrier


def method(endpoint: Callable[P, Flow[T]]) -> Callable[Concatenate[Any, P], T]:
    """The endpoint as a method of a Topic."""

    def run(self: Topic, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._carrier.run(endpoint(*args, **kwargs))

    describe(run, endpoint)
    return run


class Jobs(Topic):
    """``client.jobs``"""

    submit = method(jobs.submit)
    submit_many = method(bulk.submit_many)
    get = method(jobs.get)
    wait = method(jobs.wait)
    cancel = method(jobs.cancel)

    def list(self, *, state: State | None = None, queue: str | None = None, task: str | None = None) -> Iterator[Job]:
        """All jobs that match, newest first, fetched as they are read (see ``web.client.jobs.Listing``)."""
        listing = jobs.Listing(state, queue, task)
        while listing.has_more:
            yield from self._carrier.run(listing.next())


class Batches(Topic):
    """``client.batches``"""

    create = method(batches.create)
    get = method(batches.get)
    add = method(batches.add)
    retry = method(batches.retry)
    cancel = method(batches.cancel)

    def wait(
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
            batch = self._carrier.run(waiting.next())
            if on_progress is not None:
                on_progress(batch)
            if waiting.is_over:
                return batch

    def list(self, *, state: BatchState | None = None, task: str | None = None) -> Iterator[Batch]:
        """All batches that match, newest first, fetched as they are read."""
        listing = batches.Listing(state, task)
        while listing.has_more:
            yield from self._carrier.run(listing.next())

    def items(self, batch_id: str, *, state: ItemState | None = None) -> Iterator[BatchItem]:
        """Its items in a state, or all, in order, fetched as they are read."""
        listing = batches.Items(batch_id, state)
        while listing.has_more:
            yield from self._carrier.run(listing.next())

    def results(self, batch_id: str, *, after: int = -1) -> Iterator[BatchItem]:
        """What became of the items that have ended, in order, fetched as they are read."""
        listing = batches.Results(batch_id, after)
        while listing.has_more:
            yield from self._carrier.run(listing.next())


class DeadLetters(Topic):
    """``client.dead_letters``; for operators"""

    get = method(deadletters.get)
    edit = method(deadletters.edit)
    replay = method(deadletters.replay)
    replay_all = method(deadletters.replay_all)
    discard = method(deadletters.discard)

    def list(
        self,
        *,
        reason: DeathReason | None = None,
        task: str | None = None,
        queue: str | None = None,
        state: LetterState = "dead",
    ) -> Iterator[DeadLetter]:
        """All that match, last died first, fetched as they are read (see ``web.client.deadletters.Listing``)."""
        listing = deadletters.Listing(reason, task, queue, state)
        while listing.has_more:
            yield from self._carrier.run(listing.next())


class Schedules(Topic):
    """``client.schedules``"""

    add = method(schedules.add)
    get = method(schedules.get)
    change = method(schedules.change)
    remove = method(schedules.remove)
    pause = method(schedules.pause)
    resume = method(schedules.resume)
    run = method(schedules.run)

    def list(self) -> Iterator[Schedule]:
        """All of your own, operators everybody's, newest first, fetched as they are read."""
        listing = schedules.Listing()
        while listing.has_more:
            yield from self._carrier.run(listing.next())


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
    def create(
        self, fields: F | Mapping[str, Any], *, wait_s: float, idempotency_key: str | None = None
    ) -> Document[F]: ...
    @overload
    def create(
        self, fields: F | Mapping[str, Any], *, wait_s: None = None, idempotency_key: str | None = None
    ) -> Accepted: ...
    def create(
        self, fields: F | Mapping[str, Any], *, wait_s: float | None = None, idempotency_key: str | None = None
    ) -> Document[F] | Accepted:
        """A new document, yours; with ``idempotency_key`` repeating the call makes no other."""
        return self._carrier.run(self._kind.create(fields, wait_s, idempotency_key))

    def get(self, id: str) -> Document[F]:
        """The document as it was stored last."""
        return self._carrier.run(self._kind.get(id))

    @overload
    def patch(
        self, id: str, operations: Operations, *, wait_s: float, if_version: int | None = None
    ) -> Document[F]: ...
    @overload
    def patch(
        self, id: str, operations: Operations, *, wait_s: None = None, if_version: int | None = None
    ) -> Accepted: ...
    def patch(
        self, id: str, operations: Operations, *, wait_s: float | None = None, if_version: int | None = None
    ) -> Document[F] | Accepted:
        """Change it by RFC 6902: ``patch(id, [{"op": "replace", "path": "/title", "value": "new"}])``; all or none."""
        return self._carrier.run(self._kind.patch(id, operations, if_version, wait_s))

    def delete(self, id: str, *, wait_s: float | None = None, if_version: int | None = None) -> Accepted:
        """Delete it; with ``wait_s`` it is gone when this returns."""
        return self._carrier.run(self._kind.delete(id, if_version, wait_s))

    def list(self, filter: Mapping[str, Any] | None = None) -> Iterator[Document[F]]:
        """All that match, fetched as they are read: ``list({"status": "open", "n": {"$gte": 3}})``."""
        listing = documents.Listing(self._kind, filter)
        while listing.has_more:
            yield from self._carrier.run(listing.next())


class Client(Topic):
    """The platform's HTTP API.

    ``api_key`` is an API key or an access token; without one only ``sign_in`` and the service's own state can be
    asked for. ``timeout_s`` bounds each request with all its repetitions, in seconds; what it asks the server
    to wait comes on top. Safe to share between threads; close it, or use it in a ``with`` block.
    Raises AppError, one of ``web.client.errors``; ValueError for an address that is none.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        *,
        transport: httpx2.BaseTransport | None = None,
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

    def call(self, module: str, function: str, /, **arguments: Any) -> FunctionResult:
        """Call a registered function and wait for its result, at most ``timeout_s``.

        Raises NotFoundError for an unknown function; APIError: 422 if the arguments do not fit, 500 if the
        function failed, 409 if its job was cancelled; WaitTimeout, whose ``job`` goes on.
        """
        return self._carrier.run(functions.call(module, function, arguments, self._carrier.connection.timeout_s))

    def socket(
        self,
        *,
        device_id: str | None = None,
        token: SocketToken | None = None,
        base_url: str | None = None,
        max_waiting: int = MAX_WAITING,
    ) -> Socket:
        """What happens, while it happens; to be used in a ``with`` block.

        For each connection it asks this client for a short-lived token, or ``token``: a function that returns one,
        or a credential that stays. ``base_url``: where sockets are served, if not where the API is.
        """
        line = Line(base_url or self._carrier.connection.base_url, self._carrier.connection.timeout_s)
        return Socket(line, token or (lambda: self.socket_token(device_id).token), max_waiting)

    def sign_in(self, email: str, password: str) -> SessionInfo:
        """A new session, as which this client asks from now on. Raises AuthenticationError, RateLimitError."""
        session = self._carrier.run(sessions.sign_in(email, password))
        self._carrier.connection.credential = session.access_token
        return session

    def close(self) -> None:
        """End the connections; nothing can be asked any more."""
        self._carrier.http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._carrier.connection})"
