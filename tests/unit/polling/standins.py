"""A record store's slots, a stop and a clock that a test moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from platform.polling.errors import LeaseLost


class Tenure:
    """A slot that is held until the test says otherwise."""

    def __init__(self, fence: int = 7):
        self.number, self.fence = 0, fence
        self.is_lost = self.is_told_to_stop = self.is_ended = False
        self.confirmed = 0

    def confirm(self) -> None:
        self.check()
        self.confirmed += 1

    def check(self) -> None:
        if self.is_lost:
            raise LeaseLost("mailer", self.fence)

    def end(self) -> None:
        self.is_ended = True


class Stop:
    """Is asked once it has waited ``pauses`` times; remembers how long."""

    def __init__(self, pauses: int = 10_000, then: Callable[[], Any] | None = None):
        self.waited: list[float] = []
        self.is_asked = False
        self._pauses, self._then = pauses, then

    def pause(self, seconds: float) -> None:
        self.waited.append(seconds)
        if len(self.waited) >= self._pauses:
            self.is_asked = True
            if self._then:
                self._then()


class Poller:
    """Does what it is given: numbers are returned, exceptions raised, functions called."""

    name, instances, active_s, idle_s = "mailer", 1, 0.1, 5.0

    def __init__(self, *answers: Any):
        self.answers = list(answers)
        self.calls: list[str] = []
        self.errors: list[Exception] = []

    def process_batch(self) -> Any:
        self.calls.append("batch")
        answer = self.answers.pop(0) if self.answers else 0
        if callable(answer) and not isinstance(answer, type):
            answer = answer()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def on_startup(self) -> None:
        self.calls.append("up")

    def on_shutdown(self) -> None:
        self.calls.append("down")

    def on_error(self, exc: Exception) -> None:
        self.errors.append(exc)

    def attach(self, tenure: Any, stop: Any) -> None:
        self.tenure = tenure
