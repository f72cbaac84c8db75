"""One client's conversation: what it says, one thing after the other, and what it is told."""

from __future__ import annotations

import logging
import secrets
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import gevent
import msgspec

from platform import store
from platform.batches.errors import UnknownBatch
from platform.database import DatabaseUnavailable
from platform.errors import BrokerUnavailable, UnknownJob
from platform.routing import rooms
from web.identity import Caller, caller_from
from web.sockets import authority
from web.sockets.calls import Calls
from web.sockets.connection import Connection
from web.sockets.outgoing import Burst
from web.sockets.pace import Pace
from web.sockets.protocol import answers, messages
from web.sockets.protocol.closing import CloseCode
from web.sockets.protocol.frames import text_frame
from web.sockets.protocol.messages import Ref, Refused, Wish
from web.sockets.topics import Device, Start, Topic
from web.tokens import BadToken

if TYPE_CHECKING:
    from web.sockets.server import Server

log = logging.getLogger(__name__)

#: Messages that wait to be understood before no more is read from the socket.
MOST_UNREAD = 32
#: What a socket may say at once is so many seconds' worth.
BURST_S = 4.0
#: Messages over the pace that are answered by an error before the socket is closed.
MOST_OVER = 20
#: Subscriptions of one message answered before others get a turn.
TURN = 100
AWAY = (BrokerUnavailable, DatabaseUnavailable, *store.AWAY)
BINARY = answers.error(Refused("bad_message", "a message is JSON in text, not binary"))
TOO_FAST = Refused("too_many", "too many messages a second; this one was not heard")


class Session:
    """The owner of a connection. Nothing runs for it while nothing is said."""

    __slots__ = (
        *("_inbox", "_is_busy", "_over", "_pace", "began_at", "caller", "calls", "conn_id", "connection"),
        *("device", "device_id", "followed", "refs", "server"),
    )

    def __init__(self, server: Server, connection: Connection):
        self.server, self.connection = server, connection
        self.caller: Caller | None = None
        self.conn_id = secrets.token_hex(8)
        self.device_id = ""
        self.device: Device | None = None
        self.followed: dict[str, Topic] = {}
        self.refs: dict[Ref, str] = {}
        self.calls: Calls | None = None
        self.began_at = time.monotonic()
        self._inbox: deque[str] | None = None
        self._is_busy = False
        self._pace: Pace | None = None
        self._over = 0

    # -- the connection's owner; in the loop

    def received(self, text: str) -> None:
        if not self._is_in_time(text):
            return
        if self._inbox is None:
            self._inbox = deque()
        self._inbox.append(text)
        if len(self._inbox) > MOST_UNREAD:
            self.connection.pause()
        if not self._is_busy:
            self._is_busy = True
            gevent.spawn(self._work)

    def received_binary(self) -> None:
        if self._is_in_time(""):
            self._say(BINARY)

    def gone(self, code: int | None) -> None:
        self.server.forget(self, code)
        if self.followed or self.calls or self.device:
            gevent.spawn(self._let_go)

    # -- a follower

    def push(self, burst: Burst) -> None:
        self.connection.send(burst.bytes)

    def restart(self, why: str) -> None:
        self.connection.close(CloseCode.RESTART, self.server.come_back())

    def revoke(self) -> None:
        """What it was opened with holds no longer."""
        self.connection.close(CloseCode.UNAUTHORIZED, "the credential was revoked")

    def wait_until_taken(self) -> None:
        """Return when at most half of what may wait does."""
        while self.connection.is_open and self.connection.waiting_bytes > self.server.limits.queue_bytes // 2:
            gevent.sleep(0.01)

    # -- the server

    def check(self, now: float, wall: float) -> None:
        """About once a second: whether there is still a reason for it to be open."""
        self.connection.check(now)
        if self.caller is None:
            if now - self.began_at > self.server.config.socket_auth_s:
                self.connection.close(CloseCode.AUTH_TIMEOUT, "say who you are in the first message, type auth")
        elif self.caller.expires_at is not None and wall > self.caller.expires_at.timestamp():
            self.connection.close(CloseCode.UNAUTHORIZED, "the token is over; get another one")

    # -- what is said

    def _is_in_time(self, text: str) -> bool:
        """Whether the client keeps to its pace; one that does not is told, and in the end closed."""
        if self._pace is None:
            per_s = self.server.config.socket_messages_per_s
            self._pace = Pace(per_s, max(1.0, per_s * BURST_S))
        if self._pace.take():
            if self._pace.was_rested:
                self._over = 0  # what it did long ago is forgiven
            return True
        self._over += 1
        if self._over > MOST_OVER:
            self.connection.close(CloseCode.TOO_MANY, "too many messages a second")
        else:
            self._say(answers.error(TOO_FAST, messages.ref_of(text)))
        return False

    def _work(self) -> None:
        assert self._inbox is not None
        try:
            # What a client said before it left is heard.
            while self._inbox and (self.connection.is_open or self.connection.by_peer):
                self._answer(self._inbox.popleft())
                if len(self._inbox) == MOST_UNREAD // 2:
                    self.connection.resume()
        except Exception:  # the edge of a conversation: the client is told, and nobody else concerned
            log.exception("a socket's message failed")
            self.connection.close(CloseCode.SERVER_ERROR, "an error of the server's")
        finally:
            self._is_busy, self._inbox = False, None
            self.connection.resume()

    def _answer(self, text: str) -> None:
        ref: Ref | None = None
        try:
            message = messages.read(text)
            ref = getattr(message, "ref", None)
            self._handler(message)(self, message)
        except messages.BadMessage as exc:
            self._say(answers.error(exc, exc.ref))
        except Refused as exc:
            self._say(answers.error(exc, ref))
        except AWAY as exc:
            self._say(answers.error(Refused("unavailable", f"{exc}"), ref))

    def _handler(self, message: messages.Message) -> Any:
        if self.caller is None and not isinstance(message, messages.Auth | messages.Ping):
            raise Refused("unauthenticated", "say who you are first, in a message of type auth")
        return _HANDLERS[type(message)]

    def _auth(self, message: messages.Auth) -> None:
        if self.caller is not None:
            raise Refused("bad_message", "this socket is authenticated; a newer token comes with type refresh")
        caller = self._caller(message.token)
        if caller is not None:
            self.welcome(caller)

    def _caller(self, token: str) -> Caller | None:
        try:
            return caller_from(token, tokens=True)
        except BadToken as exc:
            self.connection.close(CloseCode.UNAUTHORIZED, str(exc))
            return None

    @property
    def known_caller(self) -> Caller:
        """Whose it is, once that was said."""
        assert self.caller is not None
        return self.caller

    def welcome(self, caller: Caller) -> None:
        """It has been said whose it is."""
        self.caller = caller
        self.device_id = caller.device_id or f"device-{self.conn_id}"
        if self.connection.is_open:  # nobody would forget one that is gone already
            self.server.admit(self)
        self._say(answers.Connected(self.conn_id, self.device_id, _who(caller)).encoded())

    def _subscribe(self, message: messages.Subscribe) -> None:
        self._follow(message.wish)

    def _resume(self, message: messages.Resume) -> None:
        for number, wish in enumerate(message.subscriptions):
            if not self.connection.is_open:
                return  # nobody is there to be told
            try:
                self._check_count(number)  # each one costs a look at the store, whatever becomes of it
                self._follow(wish)
            except Refused as exc:
                self._say(answers.error(exc, wish.ref))
            if number % TURN == TURN - 1:
                gevent.sleep(0)
        self._say(answers.Resumed(len(self.followed), message.ref).encoded())

    def _follow(self, wish: Wish) -> None:
        topic = authority.topic_of(self.known_caller, wish)
        self._drop(topic.told)
        self._check_count(len(self.followed))
        self.followed[topic.told] = topic
        if wish.ref is not None:
            self.refs[wish.ref] = topic.told

        def started(start: Start) -> None:
            epoch, offset = start.position.epoch, start.position.offset
            self._say(answers.Subscribed(topic.told, epoch, offset, start.recovered, wish.ref).encoded())

        try:
            self.server.follow(self, topic, wish.since, started)
        except BaseException as exc:
            self._drop(topic.told)
            raise _as_refused(exc) from exc
        if not self.connection.is_open:
            self._drop(topic.told)

    def _check_count(self, others: int) -> None:
        """Whether there may be one beside so many. Raises Refused."""
        most = self.server.config.socket_subscriptions
        if others >= most:
            raise Refused("too_many", f"a socket follows at most {most} channels, and resumes as many in one message")

    def _unsubscribe(self, message: messages.Unsubscribe) -> None:
        wish = message.wish
        if any((wish.channel, wish.room, wish.job, wish.batch)):
            told = authority.told_of(self.known_caller, wish)
        else:
            told = self.refs.get(message.ref, "") if message.ref is not None else ""
        if told not in self.followed:
            raise Refused("not_subscribed", "nothing is followed under that name; say its ref or what it is")
        self._drop(told)
        self._say(answers.Unsubscribed(told, message.ref).encoded())

    def _publish(self, message: messages.Publish) -> None:
        room = authority.room_of(self.known_caller, message.room)
        if not self.known_caller.scope.allows_publish:
            raise Refused("forbidden", "the token does not allow publishing")
        # Without the client's line breaks, which would end a line of server-sent events.
        data = msgspec.Raw(msgspec.json.format(message.data, indent=-1))
        try:
            position = rooms.publish(room.app_id, room.name, data)
        except rooms.DeepMessage as exc:
            raise Refused("bad_message", str(exc)) from exc
        if message.ref is not None:
            self._say(answers.Published(room.told, position.epoch, position.offset, message.ref).encoded())

    def _call(self, message: messages.Call) -> None:
        if self.calls is None:
            self.calls = Calls(self._say)
        self.calls.begin(self.known_caller, message)

    def _ping(self, message: messages.Ping) -> None:
        self._say(answers.Pong(message.ref).encoded())

    def _refresh(self, message: messages.Refresh) -> None:
        caller, before = self._caller(message.token), self.known_caller
        if caller is None:
            return
        if _may(caller) != _may(before):
            raise Refused(
                "forbidden", "the token is another user's or device's, or allows something else; connect anew with it"
            )
        if self.connection.is_open:
            self.server.recognise(self, caller)
        self._say(answers.Refreshed(_moment(caller), message.ref).encoded())

    # -- plumbing

    def _say(self, text: bytes) -> None:
        self.connection.send(text_frame(text))

    def _drop(self, told: str) -> None:
        topic = self.followed.pop(told, None)
        if topic is not None:
            self.server.leave(self, topic)
            self.refs = {ref: channel for ref, channel in self.refs.items() if channel != told}

    def _let_go(self) -> None:
        for told in list(self.followed):
            self._drop(told)
        if self.device is not None:
            self.server.leave(self, self.device)
        if self.calls is not None:
            self.calls.forget()


_HANDLERS: dict[type, Any] = {
    messages.Auth: Session._auth,
    messages.Subscribe: Session._subscribe,
    messages.Resume: Session._resume,
    messages.Unsubscribe: Session._unsubscribe,
    messages.Publish: Session._publish,
    messages.Call: Session._call,
    messages.Ping: Session._ping,
    messages.Refresh: Session._refresh,
}


def _who(caller: Caller) -> answers.Signed:
    account = caller.account
    user = answers.User(account.id, account.email, account.app_id)
    return answers.Signed(user, list(account.roles), _moment(caller))


def _may(caller: Caller) -> tuple[Any, ...]:
    """What must be the same of a newer token: the subscriptions there are were allowed by it.

    The device, too: what is sent to it comes here until the end, and so must its revocation.
    """
    return caller.account_id, caller.app_id, caller.role, caller.scope, caller.device_id


def _moment(caller: Caller) -> str | None:
    return caller.expires_at.isoformat().replace("+00:00", "Z") if caller.expires_at else None


def _as_refused(exc: BaseException) -> BaseException:
    if isinstance(exc, UnknownJob | UnknownBatch):
        return Refused("not_found", str(exc))
    return exc
