"""Something that was asked over a socket, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Answer = Mapping[str, Any]


class Question:
    """A frame that is answered once: ``answer`` is the server's frame, ``error`` why there is none.

    ``ends_with_connection``: losing the connection does as well as an answer.
    """

    def __init__(self, ref: int, text: str, ends_with_connection: bool = False):
        self.ref = ref
        self.text = text
        self.ends_with_connection = ends_with_connection
        self.is_sent = False
        self.answer: Answer | None = None
        self.error: Exception | None = None
        #: Called once, when it has ended.
        self.on_end: Callable[[], object] | None = None

    @property
    def has_ended(self) -> bool:
        return self.answer is not None or self.error is not None

    def end(self, answer: Answer | None = None, error: Exception | None = None) -> None:
        """With one of the two; what comes after the first is ignored."""
        if self.has_ended:
            return
        self.answer, self.error = answer, error
        if self.on_end is not None:
            self.on_end()
