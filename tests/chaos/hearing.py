"""What happened, and what clients were told of it, compared."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from platform.routing.subscriptions import Group
from platform.streams.delivery import Position
from platform.streams.history import Histories, History
from tests.chaos.listeners import Answer, Crowd, Following
from tests.waiting import eventually

#: Once everything has been told and nobody has heard anything for so long, nothing more will come, in seconds.
SILENCE_S = 30


@dataclass
class Line:
    """What was to be told to a group: offsets, which grow, and the hash of each frame's text."""

    offsets: list[int] = field(default_factory=list)
    digests: list[int] = field(default_factory=list)

    def add(self, offset: int, text: str) -> None:
        self.offsets.append(offset)
        self.digests.append(hash(text.encode()))


def lines_of(histories: Histories, groups: Iterable[Group]) -> dict[str, Line]:
    """As the documents' streams tell it to who comes late, by the groups' keys."""
    return {
        group.key: line_of(lambda since, group=group: histories.read(group.channel, since, group.filter))  # type: ignore[misc]
        for group in groups
    }


def line_of(read: Callable[[Position | int], History]) -> Line:
    """All that is kept, read in parts."""
    line, part, since = Line(), History(), Position("", 0)
    while not part.is_complete:
        part = read(since if since.epoch else 0)
        assert part.recovered, f"something is gone before {part.offset}"
        for frame in part.frames:
            line.add(*frame)
        since = Position(part.epoch, part.offset)
    return line


@dataclass
class Hearing:
    """What clients heard, against ``lines`` by the groups' keys.

    ``everything`` are the offsets of all that their stream was given, of which it kept the last ``kept``.
    """

    followed: Sequence[Following]
    lines: Mapping[str, Line]
    everything: Sequence[int]
    kept: int
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def compare(self) -> None:
        """Find what is lost or wrong."""
        for one in self.followed:
            self._compare(one, self.lines[one.group.key])
            self.wrong += [f"{one.told}: {answer}" for answer in one.answers if not self._is_honest(answer)]

    @property
    def events(self) -> int:
        return sum(len(one.offsets) for one in self.followed)

    @property
    def repeated(self) -> int:
        return sum(one.repeated for one in self.followed)

    @property
    def returns(self) -> list[bool]:
        """Of each time that one of them came back: whether it was told that nothing it had missed was gone."""
        return [answer.recovered for one in self.followed for answer in one.answers if answer.since]

    def summary(self) -> str:
        gaps = self.returns.count(False)
        told = f", {gaps} of {len(self.returns)} returns were told of a gap" if gaps else ""
        return f"{self.events} events heard, {len(self.lost)} lost, {self.repeated} repeated{told}"

    def _compare(self, one: Following, line: Line) -> None:
        happened = dict(zip(line.offsets, line.digests, strict=True))
        heard = dict(zip(one.offsets, one.digests, strict=True))
        self.wrong += [f"{one.told}: {o} was another" for o in heard.keys() & happened if heard[o] != happened[o]]
        self.wrong += [f"{one.told}: {offset} was not for it" for offset in heard.keys() - happened]
        begins = _beginning(one)
        missing = [offset for offset in line.offsets if offset > begins and offset not in heard]
        gaps = _gaps(one)
        self.lost += [
            f"{one.told}: {offset}" for offset in missing if not any(after < offset <= upto for after, upto in gaps)
        ]

    def _is_honest(self, answer: Answer) -> bool:
        """Whether something was gone by then, if that was said. If not, what is lost shows whether that was true."""
        if answer.recovered or answer.since is None:
            return answer.recovered
        seen = bisect_right(self.everything, answer.since)
        given = bisect_right(self.everything, answer.told_at * 1_000_000)  # offsets are microseconds
        return given - seen > self.kept


def hearing_of(crowd: Crowd, lines: Mapping[str, Line], everything: Sequence[int], kept: int) -> Hearing:
    """When everybody has heard all there is, or nobody anything more; then they leave."""
    hearing = Hearing(crowd.followed, lines, everything, kept)

    def is_over(before: int) -> bool:
        return hearing.events > before or (crowd.is_caught_up and _is_heard(crowd.followed, lines))

    before = -1
    with suppress(AssertionError):  # what is lost is told by name
        while hearing.events > before:
            before = hearing.events
            eventually(partial(is_over, before), SILENCE_S, poll_s=0.3)
    crowd.stop()
    hearing.compare()
    return hearing


def _is_heard(followed: Iterable[Following], lines: Mapping[str, Line]) -> bool:
    for one in followed:
        latest = lines[one.group.key].offsets[-1:]
        if one.place is None or (latest and one.place["offset"] < latest[0]):
            return False
    return True


def _beginning(one: Following) -> int:
    """What happened later is for it."""
    first = one.answers[0]
    return first.offset if first.since is None else first.since


def _gaps(one: Following) -> list[tuple[int, int]]:
    """Of what it was told that some of it is gone: after which offset, and up to which, where it heard more."""
    found = []
    ends = [*(answer.heard for answer in one.answers[1:]), len(one.offsets)]
    for answer, end in zip(one.answers, ends, strict=True):
        if not answer.recovered:
            upto = one.offsets[answer.heard] - 1 if answer.heard < end else answer.offset
            found.append((answer.since or 0, upto))
    return found
