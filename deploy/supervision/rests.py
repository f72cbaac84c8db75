"""How long a program that keeps dying rests before it is started again.

supervisord rests only after deaths in the first seconds. A program that takes longer to fail, with a bad import
on a busy machine, would be started again and again without a pause, and slow down everything else.
"""

from __future__ import annotations

import time

# A life shorter than this says that starting the program again may not help.
SHORT_LIFE_S = 20.0
FREE_DEATHS = 2
LONGEST_REST_S = 30.0
GIVEN_UP_REST_S = 15.0


class Rests:
    """The deaths in a row of each program, and until when it rests."""

    def __init__(self) -> None:
        self._deaths: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def after_death(self, name: str, lived_s: float) -> bool:
        """Whether the program must rest: from the third short life on, for 1, 2, 4 … 30 seconds."""
        self._deaths[name] = self._deaths.get(name, 0) + 1 if lived_s < SHORT_LIFE_S else 0
        excess = self._deaths[name] - FREE_DEATHS
        if excess <= 0:
            return False
        self._until[name] = time.monotonic() + min(2.0 ** (excess - 1), LONGEST_REST_S)
        return True

    def when_given_up(self, name: str) -> None:
        """supervisord has tried often enough: a rest, unless it is resting already."""
        self._until.setdefault(name, time.monotonic() + GIVEN_UP_REST_S)

    def is_over(self, name: str) -> bool:
        """Whether the program may be started; true for one that never rested."""
        return time.monotonic() >= self._until.get(name, 0.0)

    def end(self, name: str) -> None:
        self._until.pop(name, None)
