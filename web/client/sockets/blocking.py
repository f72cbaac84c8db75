"""The blocking socket: a thread in the background reads and connects again, users' threads wait for what it found."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

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

Token = str | Callable[[], str]


class Socket:
    """What happens on the platform, while it happens: ``with client.socket() as socket:``.

    Iterating gives the events of all subscriptions in the order they came, until the socket is closed. A connection
    that is lost is replaced, and what was missed meanwhile is given first; what cannot be told any more is a ``Gap``.
    While ``max_waiting`` events are not taken no more are read, and after some seconds the server cuts the connection:
    the rest is read again later. Safe to share between threads.
    """

    def __init__(self, line: Line, token: Token, max_waiting: int):
        self._line = line
        self._token = token
        self._conversation = Conversation(max_waiting)
        self._reconnecting = Reconnecting(has_fresh_tokens=callable(token))
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._connection: ClientConnection | None = None
        self._loss: Loss | None = None
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="platform-socket", daemon=True)

    # -- coming and going

    def open(self) -> None:
        """Connect. Raises AuthenticationError, SocketClosed; ServerUnreachable after the client's ``timeout_s``."""
        self._thread.start()
        with self._changed:
            self._changed.wait_for(
                lambda: self._conversation.connected or self._conversation.ended, self._line.timeout_s
            )
            if self._conversation.connected:
                return
            error = self._conversation.ended or (self._loss and self._loss.error)
        self.close()
        raise error or ServerUnreachable(f"{self._line.url} got no answer within {self._line.timeout_s:g} s")

    def close(self) -> None:
        """End the connection; what waits can still be taken. May be called again, and from any thread."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            connection = self._connection
        if connection is not None:
            connection.close()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(OPEN_S)

    def __enter__(self) -> Socket:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Socket({self._line.url!r}, {'connected' if self.is_connected else 'not connected'})"

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

    def subscribe(
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
    ) -> Subscription:
        """Follow documents, a room, a job or a batch; returns once nothing that happens from now on is missed.

        ``model`` with ``id`` is one document, with ``user_id`` those of that user; ``filter`` as in
        ``client.model(…).list``. ``since``: after that Position, or with 0 everything that is still kept, comes first;
        with ``"last"``, of a room, the last message alone, and after each interruption too.
        A subscription to the same channel takes the place of an earlier one.
        Raises Refused, SocketTimeout, SocketClosed; ValueError for what cannot be followed together.
        """
        interest = Interest(model=model, id=id, user_id=user_id, room=room, job=job, batch=batch, filter=filter)
        with self._changed:
            following = self._conversation.subscribe(interest, since)
        try:
            self._answer(following.question)
        except SocketTimeout:
            with self._changed:
                self._conversation.unsubscribe(following)
            self._flush()
            raise
        return Subscription(self, following)

    def follow_job(self, job_id: str) -> Subscription:
        """A job: its record as it is, and each newer one. Raises as ``subscribe``."""
        return self.subscribe(job=job_id)

    def follow_batch(self, batch_id: str) -> Subscription:
        """A batch, as a job. Raises as ``subscribe``."""
        return self.subscribe(batch=batch_id)

    def publish(self, room: str, data: Any) -> Position:
        """Say something in a room; returns its place there. Raises Refused, SocketTimeout, ServerUnreachable."""
        answer = self._ask(lambda: self._conversation.publish(room, data))
        return Position(answer["epoch"], answer["offset"])

    def call(self, module: str, function: str, /, **arguments: Any) -> FunctionResult:
        """Call a registered function and wait for its result.

        Raises CallFailed if it raised, CallPending if it goes on as a job, Refused, SocketTimeout; ServerUnreachable
        if the connection was lost meanwhile: whether the function ran is then not known.
        """
        answer = self._ask(lambda: self._conversation.call(module, function, arguments))
        return FunctionResult(answer["result"], answer["job_id"])

    def ping(self) -> float:
        """Seconds until the server answered. Raises SocketTimeout, ServerUnreachable."""
        began = time.monotonic()
        self._ask(self._conversation.ping)
        return time.monotonic() - began

    # -- what happened

    def next(self, timeout_s: float | None = None) -> Event:
        """The next event of any subscription; None waits for ever.

        Raises SocketTimeout; SocketClosed once the socket has ended and all events were taken, or another reason.
        """
        return self._next(None, timeout_s)

    def __iter__(self) -> Iterator[Event]:
        """Events until ``close``. Raises SocketClosed if the socket ended for another reason."""
        return given(self.next)

    def _next(self, following: Following | None, timeout_s: float | None) -> Event:
        with self._changed:
            event = self._changed.wait_for(lambda: self._conversation.take(following), timeout_s)
            self._changed.notify_all()  # there is room for another one
        if event is None:
            raise SocketTimeout(f"no event came within {timeout_s:g} s")
        return event

    def _unsubscribe(self, following: Following) -> None:
        self._ask(lambda: self._conversation.unsubscribe(following))

    def _ask(self, put: Callable[[], Question]) -> Answer:
        with self._changed:
            question = put()
        return self._answer(question)

    def _answer(self, question: Question) -> Answer:
        done = threading.Event()
        with self._changed:
            question.on_end = done.set
            self._changed.notify_all()  # an answer is read even if too many events wait
        self._flush()
        if not question.has_ended and not done.wait(self._line.timeout_s):
            with self._changed:
                self._conversation.forget(question)
            raise SocketTimeout(f"{self._line.url} did not answer within {self._line.timeout_s:g} s")
        if question.answer is None:
            raise (question.error or SocketClosed(OWN_WISH)).with_traceback(None)
        return question.answer

    def _flush(self) -> None:
        """Send what is to be sent, in its order, whichever thread comes first."""
        with self._sending, suppress(ConnectionClosed):  # the reader finds out as well
            while True:
                with self._changed:
                    text, connection = self._conversation.next_frame(), self._connection
                if text is None or connection is None:
                    return
                connection.send(text)

    # -- the thread in the background

    def _run(self) -> None:
        while not self._is_closing:
            try:
                self._converse()
            except Exception as exc:  # noqa: BLE001 - the edge of the thread: whoever waits is told of everything
                if not self._may_go_on(loss_of(exc, self._line.url)):
                    return
        self._end(SocketClosed(OWN_WISH))

    def _may_go_on(self, loss: Loss) -> bool:
        """Wait as long as it takes until the next connection; False if there is to be none."""
        with self._changed:
            self._loss, self._connection = loss, None
            self._conversation.lost(loss.reason)
            pause_s = self._reconnecting.pause_s(loss)
            self._changed.notify_all()
            if pause_s is not None or self._is_closing:
                self._changed.wait_for(lambda: self._is_closing, pause_s)
                return True
        self._end(loss.error)
        return False

    def _converse(self) -> None:
        """One connection, from its beginning to its end, which is always an exception."""
        with connect(self._line.url, **self._line.settings(self._fresh_token())) as connection:
            with self._changed:
                self._connection = connection
                if self._is_closing:
                    raise SocketClosed(OWN_WISH)
            self._take_in(connection.recv(timeout=OPEN_S))
            while True:
                try:
                    text = connection.recv(timeout=self._renewal_s)
                except TimeoutError:
                    self._renew_token()
                else:
                    self._take_in(text)

    def _take_in(self, text: str | bytes) -> None:
        with self._changed:
            self._conversation.received(text)
            if self._conversation.is_settled:
                self._reconnecting.settle()
            self._changed.notify_all()
        self._flush()
        with self._changed:
            self._changed.wait_for(lambda: self._conversation.wants_to_read or self._is_closing)

    def _fresh_token(self) -> str:
        return self._token() if callable(self._token) else self._token

    @property
    def _renewal_s(self) -> float | None:
        return self._conversation.renewal.left_s if callable(self._token) else None

    def _renew_token(self) -> None:
        """Trouble is no matter yet: it is tried again, or the server ends the connection."""
        self._conversation.renewal.postpone()
        with suppress(Exception):
            token = self._fresh_token()
            with self._changed:
                self._conversation.refresh(token)
            self._flush()

    def _end(self, error: Exception) -> None:
        with self._changed:
            self._conversation.end(error)
            self._changed.notify_all()


class Subscription:
    """Something that is followed; iterating gives its events alone, until it ends or the socket does.

    Those of other subscriptions wait meanwhile, and count.
    """

    def __init__(self, socket: Socket, following: Following):
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

    def next(self, timeout_s: float | None = None) -> Event:
        """The next event; None waits for ever. Raises SocketTimeout, Unsubscribed, SocketClosed."""
        return self._socket._next(self._following, timeout_s)

    def __iter__(self) -> Iterator[Event]:
        """Raises SocketClosed if the socket ended, and not by ``close``."""
        return given(self.next)

    def unsubscribe(self) -> None:
        """Follow it no longer; what waits of it is thrown away."""
        self._socket._unsubscribe(self._following)

    def __repr__(self) -> str:
        return f"Subscription({self.channel!r})"


def given(next: Callable[[], Event]) -> Iterator[Event]:
    """Events until none will come, as somebody wished it."""
    while True:
        try:
            event = next()
        except Unsubscribed:
            return
        except SocketClosed as exc:
            if exc.is_own_wish:
                return
            raise
        yield event
