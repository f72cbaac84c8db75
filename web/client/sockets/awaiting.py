"""The asynchronous socket: the same methods, awaited; a task in the background reads and connects again."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from web.client.errors import ServerUnreachable
from web.client.models import FunctionResult
from web.client.sockets.conversation import Conversation
from web.client.sockets.errors import OWN_WISH, SocketClosed, SocketTimeout, Unsubscribed
from web.client.sockets.events import Event
from web.client.sockets.following import Following
from web.client.sockets.interest import Interest
from web.client.sockets.line import OPEN_S, Line
from web.client.sockets.loss import Loss, loss_of
from web.client.sockets.position import Position, Since
from web.client.sockets.question import Answer, Question
from web.client.sockets.reconnecting import Reconnecting

Token = str | Callable[[], str | Awaitable[str]]
T = TypeVar("T")


class AsyncSocket:
    """As ``Socket``, for asyncio: ``async with client.socket() as socket:`` and ``async for event in socket:``.

    Of one event loop; any number of its tasks may share it.
    """

    def __init__(self, line: Line, token: Token, max_waiting: int):
        self._line = line
        self._token = token
        self._conversation = Conversation(max_waiting)
        self._reconnecting = Reconnecting(has_fresh_tokens=callable(token))
        self._changed = asyncio.Event()
        self._sending = asyncio.Lock()
        self._connection: ClientConnection | None = None
        self._loss: Loss | None = None
        self._task: asyncio.Task[None] | None = None

    # -- coming and going

    async def open(self) -> None:
        """Connect. Raises AuthenticationError, SocketClosed; ServerUnreachable after the client's ``timeout_s``."""
        self._task = asyncio.create_task(self._run(), name="platform-socket")
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._line.timeout_s):
                    await self._until(lambda: self._conversation.connected or self._conversation.ended)
        except BaseException:
            await self.aclose()
            raise
        if self._conversation.connected:
            return
        error = self._conversation.ended or (self._loss and self._loss.error)
        await self.aclose()
        raise error or ServerUnreachable(f"{self._line.url} got no answer within {self._line.timeout_s:g} s")

    async def aclose(self) -> None:
        """End the connection; what waits can still be taken. May be called again, and by any task of the loop."""
        self._end(SocketClosed(OWN_WISH))
        if self._connection is not None:
            await self._connection.close()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def __aenter__(self) -> AsyncSocket:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"AsyncSocket({self._line.url!r}, {'connected' if self.is_connected else 'not connected'})"

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now, and everything is followed on it."""
        return self._conversation.is_settled

    @property
    def device_id(self) -> str | None:
        """What the server calls this device; None before the first connection."""
        connected = self._conversation.connected
        return connected.device_id if connected else None

    # -- what can be asked

    async def subscribe(
        self,
        *,
        model: str | None = None,
        id: str | None = None,
        user_id: str | None = None,
        room: str | None = None,
        job: str | None = None,
        batch: str | None = None,
        filter: Mapping[str, Any] | None = None,
        since: Since = None,
    ) -> AsyncSubscription:
        """Follow documents, a room, a job or a batch; see ``Socket.subscribe``, also for what it raises."""
        interest = Interest(model=model, id=id, user_id=user_id, room=room, job=job, batch=batch, filter=filter)
        following = self._conversation.subscribe(interest, since)
        try:
            await self._answer(following.question)
        except (SocketTimeout, asyncio.CancelledError):
            self._conversation.unsubscribe(following)  # goes out before whatever is sent next
            raise
        return AsyncSubscription(self, following)

    async def follow_job(self, job_id: str) -> AsyncSubscription:
        """A job: its record as it is, and each newer one. Raises as ``subscribe``."""
        return await self.subscribe(job=job_id)

    async def follow_batch(self, batch_id: str) -> AsyncSubscription:
        """A batch, as a job. Raises as ``subscribe``."""
        return await self.subscribe(batch=batch_id)

    async def publish(self, room: str, data: Any) -> Position:
        """Say something in a room; returns its place there. Raises Refused, SocketTimeout, ServerUnreachable."""
        answer = await self._answer(self._conversation.publish(room, data))
        return Position(answer["epoch"], answer["offset"])

    async def call(self, module: str, function: str, /, **arguments: Any) -> FunctionResult:
        """Call a registered function and wait for its result; raises as ``Socket.call``."""
        answer = await self._answer(self._conversation.call(module, function, arguments))
        return FunctionResult(answer["result"], answer["job_id"])

    async def ping(self) -> float:
        """Seconds until the server answered. Raises SocketTimeout, ServerUnreachable."""
        began = time.monotonic()
        await self._answer(self._conversation.ping())
        return time.monotonic() - began

    # -- what happened

    async def next(self, timeout_s: float | None = None) -> Event:
        """The next event of any subscription; see ``Socket.next``, also for what it raises."""
        return await self._next(None, timeout_s)

    def __aiter__(self) -> AsyncIterator[Event]:
        """Events until ``aclose``. Raises SocketClosed if the socket ended for another reason."""
        return given(self.next)

    async def _next(self, following: Following | None, timeout_s: float | None) -> Event:
        try:
            async with asyncio.timeout(timeout_s):
                event = await self._until(lambda: self._conversation.take(following))
        except TimeoutError as exc:
            raise SocketTimeout(f"no event came within {timeout_s:g} s") from exc
        self._tell()  # there is room for another one
        return event

    async def _unsubscribe(self, following: Following) -> None:
        await self._answer(self._conversation.unsubscribe(following))

    async def _answer(self, question: Question) -> Answer:
        done = asyncio.Event()
        question.on_end = done.set
        self._tell()  # an answer is read even if too many events wait
        try:
            async with asyncio.timeout(self._line.timeout_s):
                await self._flush()
                if not question.has_ended:
                    await done.wait()
        except TimeoutError as exc:
            self._conversation.forget(question)
            raise SocketTimeout(f"{self._line.url} did not answer within {self._line.timeout_s:g} s") from exc
        except asyncio.CancelledError:
            self._conversation.forget(question)
            raise
        if question.answer is None:
            raise (question.error or SocketClosed(OWN_WISH)).with_traceback(None)
        return question.answer

    async def _flush(self) -> None:
        """Send what is to be sent, in its order, whichever task comes first."""
        async with self._sending:
            with suppress(ConnectionClosed):  # the reader finds out as well
                while self._connection is not None and (text := self._conversation.next_frame()) is not None:
                    await self._connection.send(text)

    async def _until(self, found: Callable[[], T | None]) -> T:
        """What ``found`` returns, once that is true; it is asked after each change."""
        while not (outcome := found()):
            await self._changed.wait()
        return outcome

    def _tell(self) -> None:
        """Something changed: everybody who waits looks again."""
        self._changed.set()
        self._changed = asyncio.Event()

    # -- the task in the background

    async def _run(self) -> None:
        while self._conversation.ended is None:
            try:
                await self._converse()
            except Exception as exc:  # noqa: BLE001 - the edge of the task: whoever waits is told of everything
                await self._recover(loss_of(exc, self._line.url))

    async def _recover(self, loss: Loss) -> None:
        """Wait as long as it takes until the next connection; end if there is to be none."""
        self._loss, self._connection = loss, None
        self._conversation.lost(loss.reason)
        pause_s = self._reconnecting.pause_s(loss)
        if pause_s is None:
            self._conversation.end(loss.error)
        self._tell()
        if self._conversation.ended is None:
            await asyncio.sleep(pause_s or 0)

    async def _converse(self) -> None:
        """One connection, from its beginning to its end, which is always an exception."""
        async with connect(self._line.url, **self._line.settings(await self._fresh_token())) as connection:
            self._connection = connection
            async with asyncio.timeout(OPEN_S):
                text = await connection.recv()
            await self._take_in(text)
            while True:
                try:
                    async with asyncio.timeout(self._renewal_s):
                        text = await connection.recv()
                except TimeoutError:
                    await self._renew_token()
                else:
                    await self._take_in(text)

    async def _take_in(self, text: str | bytes) -> None:
        self._conversation.received(text)
        if self._conversation.is_settled:
            self._reconnecting.settle()
        self._tell()
        await self._flush()
        await self._until(lambda: self._conversation.wants_to_read)

    async def _fresh_token(self) -> str:
        if isinstance(self._token, str):
            return self._token
        token = self._token()
        return await token if inspect.isawaitable(token) else token

    @property
    def _renewal_s(self) -> float | None:
        return self._conversation.renewal.left_s if callable(self._token) else None

    async def _renew_token(self) -> None:
        """Trouble is no matter yet: it is tried again, or the server ends the connection."""
        self._conversation.renewal.postpone()
        with suppress(Exception):
            self._conversation.refresh(await self._fresh_token())
            await self._flush()

    def _end(self, error: Exception) -> None:
        self._conversation.end(error)
        self._tell()


class AsyncSubscription:
    """As ``Subscription``: something that is followed, and its events alone."""

    def __init__(self, socket: AsyncSocket, following: Following):
        self._socket = socket
        self._following = following

    @property
    def channel(self) -> str:
        """As its events name it, such as ``app:myapp:model:task``."""
        return self._following.channel or ""

    @property
    def position(self) -> Position:
        """Up to where its events were taken; another program goes on from here with ``since``."""
        return self._following.position

    async def next(self, timeout_s: float | None = None) -> Event:
        """The next event; None waits for ever. Raises SocketTimeout, Unsubscribed, SocketClosed."""
        return await self._socket._next(self._following, timeout_s)

    def __aiter__(self) -> AsyncIterator[Event]:
        """Events until it ends or ``aclose``. Raises SocketClosed if the socket ended for another reason."""
        return given(self.next)

    async def unsubscribe(self) -> None:
        """Follow it no longer; what waits of it is thrown away."""
        await self._socket._unsubscribe(self._following)

    def __repr__(self) -> str:
        return f"AsyncSubscription({self.channel!r})"


async def given(next: Callable[[], Awaitable[Event]]) -> AsyncIterator[Event]:
    """Events until none will come, as somebody wished it."""
    while True:
        try:
            event = await next()
        except Unsubscribed:
            return
        except SocketClosed as exc:
            if exc.is_own_wish:
                return
            raise
        yield event
