"""What became of many jobs submitted in one call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from platform.bulk.ids import Ids
from platform.errors import PlatformError


class Submitted:
    """The ids of the jobs of a call, in the order of its items: ``len``, by place, or iterated over.

    ``key`` is what they are made of: the same items submitted again with it are the same jobs. ``known`` counts those
    that were on record already and were not published again. Ids are made again when they are asked for, so that a
    million cost nothing; only those chosen by the caller are kept, and those of other jobs that stand for unique ones.
    """

    def __init__(self, key: str):
        self.key = key
        self.known = 0
        self._count = 0
        self._own: dict[int, str] = {}
        self._ids = Ids(key)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> str:
        at = place + self._count if place < 0 else place
        if not 0 <= at < self._count:
            raise IndexError(f"there are {self._count} jobs, none at {place}")
        return self._id_at(at)

    def __iter__(self) -> Iterator[str]:
        return map(self._id_at, range(self._count))

    def __repr__(self) -> str:
        return f"<Submitted: {self._count} jobs, key {self.key!r}>"

    def _id_at(self, place: int) -> str:
        return self._own.get(place) or self._ids[place]

    def choose(self, place: int, job_id: str | None) -> str:
        """The id of the job at a place, which need not be submitted yet: the one given, if one is."""
        if job_id is None:
            return self._ids[place]
        self._own[place] = job_id
        return job_id

    def grow(self, count: int) -> None:
        """So many more, which follow in order, are submitted."""
        self._count += count


class ChunkFailed(Exception):
    """A chunk was not submitted, or not all of it; the cause is why. Its ids by what is known of them.

    ``place`` is that of the item it failed at, if it was one.
    """

    def __init__(
        self,
        accepted: Sequence[str] = (),
        doubtful: Sequence[str] = (),
        refused: Sequence[str] = (),
        place: int | None = None,
    ):
        super().__init__(accepted, doubtful, refused, place)
        self.accepted, self.doubtful, self.refused, self.place = accepted, doubtful, refused, place


class BulkFailed(PlatformError):
    """Of many jobs only some were submitted; ``why`` and ``__cause__`` say why, ``place`` at which item, if at one.

    ``submitted``: all jobs of the chunks before, certainly. Of the chunk that failed, by id: ``accepted``, certainly as
    well; ``doubtful``, the server may have taken them and did not say so; ``refused``, certainly not. What came after
    it was not submitted, nor read. The same items with ``key=exc.submitted.key``, or with ids of their own, may be
    submitted again: who is in already is not submitted twice.
    """

    def __init__(
        self,
        why: str,
        submitted: Submitted,
        accepted: Sequence[str] = (),
        doubtful: Sequence[str] = (),
        refused: Sequence[str] = (),
        place: int | None = None,
    ):
        super().__init__(why, submitted, accepted, doubtful, refused, place)
        self.why, self.submitted, self.place = why, submitted, place
        self.accepted, self.doubtful, self.refused = tuple(accepted), tuple(doubtful), tuple(refused)

    def __str__(self) -> str:
        certain = len(self.submitted) + len(self.accepted)
        doubt = f", of {len(self.doubtful)} it is not known" if self.doubtful else ""
        where = "" if self.place is None else f"item {self.place}: "
        return (
            f"{certain} jobs were submitted{doubt}, the others were not: {where}{self.why}; "
            f"submit the same items again with key={self.submitted.key!r}"
        )
