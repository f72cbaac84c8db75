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
from platform.database import DatabaseUnavailable
from platform.errors import BrokerUnavailable
from platform.routing import rooms
from web.identity import Caller, caller_from
from web.sockets import authority
from web.sockets.calls import Calls
from web.sockets.connection import Connection
from web.sockets.followed import Followed
from web.sockets.outgoing import Burst
from web.sockets.pace import Pace
from web.sockets.protocol import answers, messages
from web.sockets.protocol.closing import CloseCode
from web.sockets.protocol.frames import text_frame
from web.sockets.protocol.messages import Ref, Refused
from web.sockets.topics import Device
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
AWAY = (BrokerUnavailable, DatabaseUnavailable, *store.AWAY)
BINARY = answers.error(Refused("bad_message", "a message is JSON in text, not binary"))
TOO_FAST = Refused("too_many", "too many messages a second; this one was not heard")


class Session:
    """The owner of a connection. Nothing runs for it while nothing is said."""

    __slots__ = (
        *("_inbox", "_is_busy", "_over", "_pace", "began_at", "caller", "calls", "conn_id", "connection"),
        *("device", "device_id", "followed", "server"),
    )

    def __init__(self, server: Server, connection: Connection):
        self.server, self.connection = server, connection
        self.caller: Caller | None = None
        self.conn_id = secrets.token_hex(8)
        self.device_id = ""
        self.device: Device | None = None
        self.followed = Followed()
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
            self.say(BINARY)

    def gone(self, code: int | None) -> None:
        self.server.forget(self, code)
        if self.followed or self.calls or self.device:
            gevent.spawn(self._let_go)

    # -- a follower

    def push(self, burst: Burst) -> None:
        self.server.frames += len(burst.frames)
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
            self.say(answers.error(TOO_FAST, messages.ref_of(text)))
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
            self.say(answers.error(exc, exc.ref))
        except Refused as exc:
            self.say(answers.error(exc, ref))
        except AWAY as exc:
            self.say(answers.error(Refused("unavailable", f"{exc}"), ref))

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
        self.say(answers.Connected(self.conn_id, self.device_id, _who(caller)).encoded())

    def _subscribe(self, message: messages.Subscribe) -> None:
        self.followed.follow(self, message.wish)

    def _resume(self, message: messages.Resume) -> None:
        self.followed.follow_all(self, message.subscriptions)
        if self.connection.is_open:
            self.say(answers.Resumed(len(self.followed), message.ref).encoded())

    def _unsubscribe(self, message: messages.Unsubscribe) -> None:
        told = self.followed.leave(self, message)
        self.say(answers.Unsubscribed(told, message.ref).encoded())

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
            self.say(answers.Published(room.told, position.epoch, position.offset, message.ref).encoded())

    def _call(self, message: messages.Call) -> None:
        if self.calls is None:
            self.calls = Calls(self.say)
        self.calls.begin(self.known_caller, message)

    def _ping(self, message: messages.Ping) -> None:
        self.say(answers.Pong(message.ref).encoded())

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
        self.say(answers.Refreshed(_moment(caller), message.ref).encoded())

    # -- plumbing

    def say(self, text: bytes) -> None:
        """Tell the client."""
        self.connection.send(text_frame(text))

    def _let_go(self) -> None:
        self.followed.clear(self)
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
