"""What a socket raises beside ``web.client.errors``: picklable, the message one sentence to show to a person."""

from __future__ import annotations

from web.client.errors import AppError

OWN_WISH = 1000
#: What close codes mean to whoever is told of them.
MEANINGS = {
    OWN_WISH: "this side closed it",
    1002: "what was sent is no WebSocket",
    1003: "what was sent is no WebSocket",
    1007: "what was received is not the platform's protocol",
    1009: "a message was received that is too large",
    4401: "the token is wrong, over or revoked",
    4403: "the origin, or what the token allows, forbids it",
    4413: "a message was sent that is larger than the server takes",
}


class SocketClosed(AppError):
    """The socket is closed and does not connect again. ``code`` is that of the close frame, ``reason`` its text.
    1000 is ``close()``.
    """

    def __init__(self, code: int, reason: str = ""):
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    @property
    def is_own_wish(self) -> bool:
        return self.code == OWN_WISH

    def __str__(self) -> str:
        meaning = MEANINGS.get(self.code, "the server ended it")
        return f"the socket is closed: {meaning} ({f'{self.code}, {self.reason}' if self.reason else self.code})"


class SocketTimeout(AppError, TimeoutError):
    """Nothing came in time: no event, or no answer. Whether what was asked is carried out is then not known."""


class Unsubscribed(AppError):
    """The subscription has ended, and all its events were taken."""


class OutOfStep(AppError):
    """The change is not the next one of the document in hand; read that again."""


class Refused(AppError):
    """The server will not do what was asked. ``code`` is one of those in docs/sockets.md, such as ``bad_filter``."""

    def __init__(self, code: str, message: str):
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} ({self.code})"


class CallFailed(Refused):
    """The function that was called raised; ``job_id`` is the job that ran it."""

    def __init__(self, code: str, message: str, job_id: str | None = None):
        super().__init__(code, message)
        self.args = (code, message, job_id)
        self.job_id = job_id


class CallPending(CallFailed):
    """What becomes of the function is not known yet: it goes on as the job ``job_id``, which can be followed."""
