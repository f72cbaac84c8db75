"""The protocol of docs/sockets.md without any I/O: what to send, what frames mean, and what outlives a connection.

Whoever has the connection gives each frame to ``received`` and sends what ``next_frame`` returns; when the connection
is gone it says ``lost``, and gives what the next one receives. Not safe to share between threads.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from web.client.errors import ServerUnreachable
from web.client.sockets.errors import CallFailed, CallPending, Refused, SocketClosed, Unsubscribed
from web.client.sockets.events import Ended, Event, Gap, event_of
from web.client.sockets.following import Following, asked_for
from web.client.sockets.frames import Connected, Refreshed, Subscribed, decoded, encoded, read
from web.client.sockets.interest import Interest
from web.client.sockets.loss import Hangup
from web.client.sockets.mailbox import Mailbox
from web.client.sockets.position import Position, Since
from web.client.sockets.question import Question
from web.client.sockets.renewal import Renewal

log = logging.getLogger(__name__)

#: The owner, in the mailbox, of events that belong to no subscription.
UNASKED = 0


@dataclass(frozen=True)
class Delivery:
    """An event on its way to the user, and where its subscription stands once it was taken."""

    following: Following | None
    position: Position | None
    event: Event


class Conversation:
    """One user's subscriptions and questions over any number of connections, one at a time.

    Every event of a channel is given once and in order. What is asked waits for a connection; what was asked when one
    is lost fails, except subscriptions: one ``resume`` frame brings them all to the next connection.
    """

    def __init__(self, max_waiting: int, renewal: Renewal | None = None):
        self.renewal = renewal or Renewal()
        #: What the server said of the latest connection.
        self.connected: Connected | None = None
        self.is_open = False
        #: Why there will be no connection any more.
        self.ended: Exception | None = None
        self._mailbox: Mailbox[Delivery] = Mailbox(max_waiting)
        self._refs = itertools.count(1)
        self._followed: dict[int, Following] = {}
        self._channels: dict[str, Following] = {}
        self._asked: dict[int, Question] = {}
        self._outbox: deque[Question] = deque()
        self._resume: Question | None = None

    @property
    def is_settled(self) -> bool:
        """Whether there is a connection, and all that is followed is followed on it."""
        return self.is_open and self._resume is None

    @property
    def wants_to_read(self) -> bool:
        """False while so many events wait that the next frame is to stay with the server.

        An answer is read nevertheless: whoever waits for one cannot take events meanwhile.
        """
        return not self._mailbox.is_full or bool(self._asked) or any(f.channel is None for f in self._followed.values())

    # -- what users want

    def subscribe(self, interest: Interest, since: Since = None) -> Following:
        """Follow something; ``question`` of what is returned ends when the server has said where it stands."""
        ref = next(self._refs)
        text = encoded({"type": "subscribe", **asked_for(ref, interest, since)})
        following = Following(Question(ref, text), interest, since)
        if self.ended is not None:
            following.question.end(error=self.ended)
            return following
        self._followed[ref] = following
        if self.is_open:
            self._outbox.append(following.question)
        return following

    def unsubscribe(self, following: Following) -> Question:
        """Follow it no longer; what waits of it is thrown away."""
        ref, was_followed = following.ref, not following.is_over
        self._drop(following)
        self._mailbox.forget(ref)
        question = Question(ref, encoded({"type": "unsubscribe", "ref": ref}), ends_with_connection=True)
        if not (was_followed and self.is_open):
            question.end(answer={})
            return question
        return self._put(question)

    def publish(self, room: str, data: Any) -> Question:
        return self._ask("publish", room=room, data=data)

    def call(self, module: str, function: str, arguments: Mapping[str, Any]) -> Question:
        return self._ask("call", module=module, function=function, args=arguments)

    def ping(self) -> Question:
        return self._ask("ping")

    def refresh(self, token: str) -> Question:
        """Go on with another token; without an answer the server ends the connection when the old one does."""
        return self._ask("refresh", token=token)

    def forget(self, question: Question) -> None:
        """Nobody waits for the answer any more; what was not sent yet is not sent."""
        self._asked.pop(question.ref, None)
        if question in self._outbox:
            self._outbox.remove(question)

    def take(self, following: Following | None = None) -> Event | None:
        """The next event, of one subscription or of all; None if none waits.

        Raises Unsubscribed, or why there will be no connection any more, if none waits and none will come.
        """
        delivery = self._mailbox.take(None if following is None else following.ref)
        if delivery is not None:
            if delivery.following is not None:
                delivery.following.taken = delivery.position
            return delivery.event
        if following is not None and following.is_over:
            raise Unsubscribed(f"{following.channel} is not followed any more")
        if self.ended is not None:
            raise self.ended.with_traceback(None)
        return None

    # -- what the connection does

    def next_frame(self) -> str | None:
        """What to send next; None: nothing now."""
        if not self.is_open or not self._outbox:
            return None
        question = self._outbox.popleft()
        question.is_sent = True
        return question.text

    def received(self, text: str | bytes) -> None:
        """Take in a frame. Raises Hangup if the connection is of no use, SocketClosed if no server like it is."""
        frame = decoded(text)
        if "event" in frame:
            self._happened(frame)
            return
        match frame.get("type"):
            case "connected":
                self._welcomed(read(frame, Connected))
            case "subscribed":
                self._subscribed(read(frame, Subscribed))
            case "resumed":
                self._resume = None
            case "error":
                self._refused(frame)
            case "refreshed":
                self.renewal.expect(read(frame, Refreshed).expires_at)
                self._answered(frame)
            case _:
                self._answered(frame)

    def lost(self, why: str) -> None:
        """The connection is gone, or did not come to be."""
        self.is_open, self._resume = False, None
        for question in self._asked.values():
            if question.ends_with_connection:
                question.end(answer={})
            elif question.is_sent:
                message = f"the connection was lost before the answer: {why}; whether it was carried out is not known"
                question.end(error=ServerUnreachable(message))
        self._asked = {ref: question for ref, question in self._asked.items() if not question.has_ended}
        self._outbox = deque(self._asked.values())

    def end(self, error: Exception) -> None:
        """There will be no connection any more; the first reason stays."""
        self.is_open, self.ended = False, self.ended or error
        for question in [*self._asked.values(), *(following.question for following in self._followed.values())]:
            question.end(error=error)
        self._asked.clear()

    # -- frames

    def _welcomed(self, connected: Connected) -> None:
        self.connected, self.is_open = connected, True
        self.renewal.expect(connected.session.expires_at)
        if not self._followed:
            return
        ref = next(self._refs)
        subscriptions = [following.members for following in self._followed.values()]
        self._resume = Question(ref, encoded({"type": "resume", "ref": ref, "subscriptions": subscriptions}))
        self._outbox.appendleft(self._resume)

    def _subscribed(self, told: Subscribed) -> None:
        following = self._followed.get(told.ref)
        if following is None:
            return  # it was unsubscribed meanwhile
        other = self._channels.get(told.channel)
        if other is not None and other is not following:
            self._drop(other)  # the server follows a channel once, and the latest wins
        self._channels[told.channel] = following
        position = Position(told.epoch, told.offset)
        is_gap = not told.recovered and not following.has_seen(position)
        following.stand(told.channel, position)
        if is_gap:
            self._deliver(following, Gap(channel=told.channel, offset=told.offset))
        following.question.end(answer={})

    def _happened(self, frame: Mapping[str, Any]) -> None:
        try:
            event = event_of(frame)
        except msgspec.ValidationError as exc:
            raise SocketClosed(1007, str(exc)) from exc
        following = self._channels.get(event.channel)
        if following is None:
            if event.offset is None:  # told to this device, which need not ask for it
                self._mailbox.put(UNASKED, Delivery(None, None, event))
            return  # otherwise it was unsubscribed meanwhile
        if following.advance(event.offset):
            self._deliver(following, event)

    def _refused(self, frame: Mapping[str, Any]) -> None:
        ref, error = frame.get("ref", self._only_ref), _refusal(frame)
        if self._resume is not None and ref == self._resume.ref:
            raise Hangup(str(error))
        if ref in self._asked:
            question = self._asked.pop(ref)
            question.end(answer={}) if question.ends_with_connection else question.end(error=error)
        elif ref in self._followed:
            self._not_followed(self._followed[ref], error)
        else:
            log.warning("the server refused a frame: %s", error)

    @property
    def _only_ref(self) -> int | None:
        """What an error is about that names no frame: the only one that waits for its answer, if it is the only one."""
        new = [following.question for following in self._followed.values() if following.channel is None]
        waiting = [question.ref for question in [*self._asked.values(), *new] if question.is_sent]
        return waiting[0] if len(waiting) == 1 else None

    def _not_followed(self, following: Following, error: Refused) -> None:
        """The user is told where it waits: by the answer at first, by an event later."""
        if following.channel is None:
            self._drop(following)
            following.question.end(error=error)
        elif error.code == "unavailable":
            raise Hangup(str(error))
        else:
            self._deliver(following, Ended(channel=following.channel, code=error.code, message=error.message))
            self._drop(following)

    def _answered(self, frame: Mapping[str, Any]) -> None:
        if (question := self._asked.pop(frame.get("ref", -1), None)) is not None:
            question.end(answer=frame)

    # -- both

    def _ask(self, type: str, **members: Any) -> Question:
        ref = next(self._refs)
        return self._put(Question(ref, encoded({"type": type, "ref": ref, **members})))

    def _put(self, question: Question) -> Question:
        if self.ended is not None:
            question.end(error=self.ended)
            return question
        self._asked[question.ref] = question
        self._outbox.append(question)
        return question

    def _deliver(self, following: Following, event: Event) -> None:
        self._mailbox.put(following.ref, Delivery(following, following.read, event))

    def _drop(self, following: Following) -> None:
        following.is_over = True
        self._followed.pop(following.ref, None)
        if following.channel is not None and self._channels.get(following.channel) is following:
            del self._channels[following.channel]


def _refusal(frame: Mapping[str, Any]) -> Refused:
    code, message = str(frame.get("code")), str(frame.get("message"))
    if "job_id" not in frame:
        return Refused(code, message)
    kind = CallFailed if code == "call_failed" else CallPending
    return kind(code, message, frame["job_id"])
