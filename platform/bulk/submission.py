"""Submitting many jobs: calls become chunks, and a chunk is on its way while the next one is made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from platform.bulk import direct
from platform.bulk.batch import Batch, kind_of
from platform.bulk.calls import Call, NotAnItem, Reader
from platform.bulk.flight import Flight
from platform.bulk.ids import Ids, new_key
from platform.bulk.report import BulkFailed, ChunkFailed, Submitted
from platform.bulk.template import Template, is_plain, is_plain_call, key_of, template_of
from platform.endpoints import records_are_beside_queues
from platform.envelope import Envelope
from platform.jobs.facts import NewJob
from platform.jobs.ledger import ledger
from platform.outbox import Outbox, Posted, collecting

#: Of one script call, during which the server answers nobody else: some 10 µs a job.
MOST_IN_A_CHUNK = 10_000
#: A chunk with so many bytes of messages is full, and so is one that was begun so long ago: items may come slowly.
MOST_BYTES = 4 * 1024 * 1024
MOST_AGE_S = 1.0
#: Of calls that differ in more than their arguments.
MOST_TEMPLATES = 100
#: Such a call goes past the queues, or to several.
_ELSEWHERE = frozenset({"exchange", "routing_key", "exchange_type"})


class Collected(Outbox):
    """Takes what a chunk may carry: all but unique jobs that somebody is to be told of now.

    Not ``is_scripted``: records and queues are apart, and unique jobs that may run at once are published as ever.
    ``is_whole``: nothing may be published by itself.
    """

    def __init__(self, is_scripted: bool, is_whole: bool):
        super().__init__()
        self._is_scripted, self._is_whole = is_scripted, is_whole

    def takes(self, job: NewJob, is_waited_for: bool) -> bool:
        if job.lock is None:
            return True
        if is_waited_for and self._is_whole:
            raise NotAnItem("a unique job with a callback is published by itself; submit it without all_or_none")
        return not is_waited_for and (self._is_scripted or job.ready_at_ms is not None)


@dataclass
class Chunk:
    """Jobs that are sent together: those of ``batch`` by a script, ``direct`` ones by the broker's own client.

    ``count`` is of calls; those ``alone`` were published by themselves. ``tells`` are what to do once it is sent.
    """

    is_plain: bool
    now_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    began: float = field(default_factory=time.monotonic)
    batch: Batch = field(default_factory=Batch)
    direct: list[Posted] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)
    tells: list[Callable[[], None]] = field(default_factory=list)
    templates: dict[Any, tuple[Template, int] | None] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    count: int = 0

    def kind(self, job: NewJob, envelope: Envelope, is_kept: bool) -> int:
        """The number of the job's kind in the batch."""
        made = kind_of(job, envelope.queue, envelope.priority, self.now_ms, is_kept)
        key = repr(made)
        if key not in self.kinds:
            self.kinds[key] = self.batch.add_kind(made)
        return self.kinds[key]

    @property
    def waiting(self) -> list[str]:
        return [*self.batch.ids, *(posted.job.job_id for posted in self.direct)]


class Submission:
    """One call's way from items to jobs; ``chunk_size`` None: all in one chunk, all of them or none on every broker.

    There, messages for a queue that is not beside the records go the way of the schedule, due at once. ``is_private``:
    no job of another owner may stand for a unique one.
    """

    def __init__(
        self,
        app: Any,
        reader: Reader,
        key: str | None = None,
        chunk_size: int | None = None,
        tell: Callable[[Submitted], Any] | None = None,
        is_private: bool = False,
    ):
        self.submitted = Submitted(new_key() if key is None else key)
        self._app, self._reader, self._size, self._tell = app, reader, chunk_size, tell
        self._is_private = is_private
        self._records = ledger()
        self._is_beside = records_are_beside_queues()
        self._is_scripted = self._is_beside or chunk_size is None
        self._tags = Ids(new_key())
        self._lasting: dict[Any, Template] = {}
        self._place: int | None = None
        self._chunk = self._new_chunk()
        self._sent: tuple[Chunk, Flight | None] | None = None

    def run(self, items: Iterable[Any]) -> Submitted:
        """Raises BulkFailed."""
        try:
            for place, item in enumerate(items):
                self._place = place
                self._add(place, self._reader.read(item))
                self._place = None
                if self._is_full():
                    self._send()
            self._send()
            self._land()
        except ChunkFailed as exc:
            raise self._failed(exc) from exc.__cause__
        except Exception as exc:  # of the items, or of whoever hears of progress
            raise self._failed_at(exc) from exc
        finally:
            if self._sent and self._sent[1]:
                self._sent[1].abandon()
        return self.submitted

    # -- from a call to a row

    def _add(self, place: int, call: Call) -> None:
        if not self._chunk.count:
            self._chunk = self._new_chunk()  # its time begins now: items may be long in coming
        job_id = self.submitted.choose(place, call.task_id)
        known = self._template(call)
        if known is not None:
            template, kind = known
            message = template.text(job_id, self._tags[place], call.args, call.kwargs)
            self._chunk.batch.add(place, kind, job_id, message)
        else:
            self._collect(call, place, job_id)
        self._chunk.count += 1

    def _template(self, call: Call) -> tuple[Template, int] | None:
        """The template for a call, and its kind's number in this chunk."""
        chunk = self._chunk
        if not chunk.is_plain:
            return None
        try:
            key = key_of(call, self._reader.options)
        except TypeError:
            return None
        if key not in chunk.templates and key in self._lasting:
            template = self._lasting[key]
            chunk.templates[key] = (template, chunk.kind(template.job, template.envelope, self._is_kept(template.job)))
        return chunk.templates.get(key)

    def _collect(self, call: Call, place: int, job_id: str) -> None:
        """Let Celery make the message; the next one like it need not be."""
        if _ELSEWHERE & call.options.keys() or getattr(call.task, "exchange", None):
            if self._size is None:
                raise NotAnItem("a job for an exchange is published by itself; submit it without all_or_none")
            found: list[Posted] = []
            answer = call.apply(job_id)
        else:
            with collecting(Collected(self._is_scripted, self._size is None)) as outbox:
                answer = call.apply(job_id)
            found = outbox.taken()
        actual = getattr(answer, "id", job_id)
        if actual != job_id:
            self.submitted.choose(place, actual)
        if not found:
            self._chunk.alone.append(actual)
        for posted in found:
            self._post(posted, place)
        if len(found) == 1 and found[0].job.job_id == job_id:
            self._learn(call, found[0])

    def _post(self, posted: Posted, place: int) -> None:
        job, chunk = posted.job, self._chunk
        chunk.tells.append(posted.tell)
        if not self._is_scripted and job.ready_at_ms is None:
            chunk.direct.append(posted)
            return
        kind = chunk.kind(job, posted.envelope, self._is_kept(job))
        chunk.batch.add(place, kind, job.job_id, posted.envelope.as_text())
        if job.lock is not None:
            is_strict = job.lock.on_conflict == "reject"
            chunk.batch.lock_last(job, self._records.claim(job.lock), is_strict, self._is_private)

    def _is_kept(self, job: NewJob) -> bool:
        """Whether its message goes to the schedule."""
        return job.ready_at_ms is not None or not self._is_beside

    def _learn(self, call: Call, posted: Posted) -> None:
        """A template for calls like this one: for this chunk, and for all where nothing counts from its time."""
        chunk = self._chunk
        if not chunk.is_plain or not is_plain_call(call) or chunk.direct or len(chunk.templates) >= MOST_TEMPLATES:
            return
        try:
            key = key_of(call, self._reader.options)
        except TypeError:
            return
        made = template_of(call, posted.job, posted.envelope, self._app)
        chunk.templates[key] = None if made is None else (made, chunk.batch.which[-1])
        if made and made.is_lasting and len(self._lasting) < MOST_TEMPLATES:
            self._lasting[key] = made

    # -- from a chunk to the server

    def _new_chunk(self) -> Chunk:
        return Chunk(is_plain(self._app))

    def _is_full(self) -> bool:
        chunk = self._chunk
        if self._size is None:
            if chunk.count > MOST_IN_A_CHUNK:
                raise ValueError(f"more than {MOST_IN_A_CHUNK} jobs cannot be submitted all or none")
            return False
        is_old = time.monotonic() - chunk.began > MOST_AGE_S
        return chunk.count >= self._size or chunk.batch.size >= MOST_BYTES or is_old

    def _send(self) -> None:
        """The chunk goes, once the one before has arrived: so at most one is in doubt, and jobs keep their order."""
        chunk = self._chunk
        flight = Flight(self._records, chunk.batch) if chunk.batch.ids else None
        self._land()
        if not chunk.count:
            return
        self._chunk, self._sent = self._new_chunk(), (chunk, flight)
        if flight is not None:
            flight.start()

    def _land(self) -> None:
        if self._sent is None:
            return
        chunk, flight = self._sent
        rows = flight.land() if flight is not None else []
        if chunk.direct:
            self._publish(chunk)
        self._sent = None
        for index, verdict, detail in rows:
            self._note(chunk.batch, index, verdict, detail)
        self.submitted.grow(chunk.count)
        for tell in chunk.tells:
            tell()
        if self._tell is not None:
            self._tell(self.submitted)

    def _publish(self, chunk: Chunk) -> None:
        try:
            verdicts = direct.publish(self._app, chunk.direct)
        except ChunkFailed as exc:
            raise ChunkFailed([*chunk.batch.ids, *exc.accepted], exc.doubtful, exc.refused) from exc.__cause__
        self.submitted.known += sum(verdict in ("kept", "final") for verdict in verdicts)

    def _note(self, batch: Batch, index: int, verdict: str, detail: str) -> None:
        if verdict in ("kept", "final"):
            self.submitted.known += 1
        elif verdict == "taken":  # of a unique task whose rule is to return the job that stands for the call
            self.submitted.choose(batch.places[index], detail)

    # -- what went wrong

    def _failed(self, exc: ChunkFailed) -> BulkFailed:
        """Of the chunk that was sent, with what was read after it."""
        assert self._sent is not None
        chunk, cause = self._sent[0], exc.__cause__
        known = {*exc.accepted, *exc.doubtful, *exc.refused}
        rest = [job_id for job_id in chunk.waiting if job_id not in known]
        accepted = [*exc.accepted, *chunk.alone, *self._chunk.alone]
        refused = [*exc.refused, *rest, *self._chunk.waiting]
        return BulkFailed(_why(cause), self.submitted, accepted, exc.doubtful, refused, exc.place)

    def _failed_at(self, exc: Exception) -> BulkFailed:
        """Of an item that could not be read or made a job; the chunk before it may be on its way still."""
        try:
            self._land()
        except ChunkFailed as failed:
            return self._failed(failed)
        except Exception as second:  # noqa: BLE001 - of whoever hears of progress; the first error is the one to tell
            exc.add_note(f"and then: {_why(second)}")
        return BulkFailed(_why(exc), self.submitted, self._chunk.alone, (), self._chunk.waiting, self._place)


def _why(exc: BaseException | None) -> str:
    return str(exc) or type(exc).__name__
