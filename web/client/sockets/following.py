"""One subscription: what it is of, and how far its events were read and taken."""

from __future__ import annotations

from typing import Any

from web.client.sockets.interest import Interest
from web.client.sockets.position import Position, Since
from web.client.sockets.question import Question


class Following:
    """What survives connections of a subscription. ``ref`` names it in frames.

    ``read`` is how far the server's frames were seen, from where a new connection goes on; ``taken`` how far the
    user has taken the events, from where another program may. Both are None until the server has said where it is.
    """

    def __init__(self, question: Question, interest: Interest, since: Since):
        self.ref = question.ref
        self.question = question
        self.interest = interest
        self.channel: str | None = None
        self.read: Position | None = None
        self.taken: Position | None = None
        self.is_over = False
        self._since = since

    @property
    def position(self) -> Position:
        """``taken``, of a subscription that the server has answered."""
        assert self.taken is not None, "the server has not said where the subscription stands"
        return self.taken

    @property
    def members(self) -> dict[str, Any]:
        """Of ``subscribe`` and of ``resume``: all that the server must be told to go on with it."""
        goes_on = self.read is not None and self._since != "last"
        return asked_for(self.ref, self.interest, self.read if goes_on else self._since)

    def has_seen(self, position: Position) -> bool:
        """Whether that is the last value it asks for, and it has come before: its being forgotten is no loss then."""
        if self._since != "last" or self.read is None:
            return False
        return self.read.epoch == position.epoch and self.read.offset >= position.offset

    def stand(self, channel: str, position: Position) -> None:
        """The server says where the subscription is; within an epoch it never goes back."""
        self.channel = channel
        if self.read is None or self.read.epoch != position.epoch or self.read.offset < position.offset:
            self.read = position
        self.taken = self.taken or self.read

    def advance(self, offset: int | None) -> bool:
        """Whether an event with that offset is new; then it is read from now on."""
        if offset is None or self.read is None:
            return True
        if offset <= self.read.offset:
            return False
        self.read = Position(self.read.epoch, offset)
        return True


def asked_for(ref: int, interest: Interest, since: Since) -> dict[str, Any]:
    return {"ref": ref, **interest.members} | ({} if since is None else {"since": since})
