"""A place in a channel, to go on from after having been away."""

from __future__ import annotations

from typing import Literal

import msgspec


class Position(msgspec.Struct, frozen=True):
    """The last that was seen: offsets of a channel only grow; a new ``epoch`` begins when its history was lost."""

    epoch: str
    offset: int


#: Where to begin: after a position; 0: with everything that is still kept; "last": with the last one; None: now.
Since = Position | Literal[0, "last"] | None
