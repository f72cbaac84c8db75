"""What one client follows: by the channels it is told, and by the refs it gave them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import gevent

from platform.batches.errors import UnknownBatch
from platform.errors import UnknownJob
from web.sockets import authority
from web.sockets.protocol import answers
from web.sockets.protocol.messages import Ref, Refused, Unsubscribe, Wish
from web.sockets.topics import Start, Topic

if TYPE_CHECKING:
    from web.sockets.session import Session

#: Subscriptions of one message answered before others get a turn.
TURN = 100


class Followed:
    """Of one session, which is named in each call: sessions that end by the thousand are to leave no circles."""

    __slots__ = ("_by_ref", "_topics")

    def __init__(self) -> None:
        self._topics: dict[str, Topic] = {}
        self._by_ref: dict[Ref, str] = {}

    def __len__(self) -> int:
        return len(self._topics)

    def follow(self, session: Session, wish: Wish) -> None:
        """Follow what is wished for, anew if it is followed, and say so. Raises Refused, BrokerUnavailable."""
        topic = authority.topic_of(session.known_caller, wish)
        self._drop(session, topic.told)
        _check_count(session, len(self._topics))
        self._topics[topic.told] = topic
        if wish.ref is not None:
            self._by_ref[wish.ref] = topic.told

        def started(start: Start) -> None:
            epoch, offset = start.position.epoch, start.position.offset
            session.say(answers.Subscribed(topic.told, epoch, offset, start.recovered, wish.ref).encoded())

        try:
            session.server.follow(session, topic, wish.since, started)
        except BaseException as exc:
            self._drop(session, topic.told)
            if isinstance(exc, UnknownJob | UnknownBatch):
                raise Refused("not_found", str(exc)) from exc
            raise
        if not session.connection.is_open:
            self._drop(session, topic.told)

    def follow_all(self, session: Session, wishes: Sequence[Wish]) -> None:
        """One after the other, with turns for others; what is refused is said of each. Raises BrokerUnavailable."""
        for number, wish in enumerate(wishes):
            if not session.connection.is_open:
                return  # nobody is there to be told
            try:
                _check_count(session, number)  # each one costs a look at the store, whatever becomes of it
                self.follow(session, wish)
            except Refused as exc:
                session.say(answers.error(exc, wish.ref))
            if number % TURN == TURN - 1:
                gevent.sleep(0)

    def leave(self, session: Session, message: Unsubscribe) -> str:
        """Follow no longer what is meant; returns the channel's name. Raises Refused."""
        wish = message.wish
        if any((wish.channel, wish.room, wish.job, wish.batch)):
            told = authority.told_of(session.known_caller, wish)
        else:
            told = self._by_ref.get(message.ref, "") if message.ref is not None else ""
        if told not in self._topics:
            raise Refused("not_subscribed", "nothing is followed under that name; say its ref or what it is")
        self._drop(session, told)
        return told

    def clear(self, session: Session) -> None:
        for told in list(self._topics):
            self._drop(session, told)

    def _drop(self, session: Session, told: str) -> None:
        topic = self._topics.pop(told, None)
        if topic is not None:
            session.server.leave(session, topic)
            self._by_ref = {ref: channel for ref, channel in self._by_ref.items() if channel != told}


def _check_count(session: Session, others: int) -> None:
    """Whether there may be one beside so many. Raises Refused."""
    most = session.server.config.socket_subscriptions
    if others >= most:
        raise Refused("too_many", f"a socket follows at most {most} channels, and resumes as many in one message")
