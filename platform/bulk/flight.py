"""A batch on its way: sent, and answered while the next one is made."""

from __future__ import annotations

from typing import Any

from redis.exceptions import (
    AuthenticationError,
    ConnectionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from platform import store
from platform.bulk.batch import SCRIPT, Batch
from platform.bulk.report import ChunkFailed
from platform.errors import BrokerUnavailable, PlatformError
from platform.jobs.ledger import Ledger

#: Refusals of the script, or of its first write.
_KINDS = (OutOfMemoryError, ReadOnlyError, AuthenticationError, NoScriptError)
_CODES = ("MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "BUSY")


class NotARecord(PlatformError):
    """The key of a new job's record holds something else; choose another id."""

    def __init__(self, job_id: str):
        super().__init__(job_id)
        self.job_id = job_id

    def __str__(self) -> str:
        return f"the record store holds something else than a record for job {self.job_id!r}; choose another id"


class Flight:
    """One batch and its script call, which may be repeated: it knows the jobs again that it has written."""

    def __init__(self, records: Ledger, batch: Batch):
        self.batch = batch
        self._records = records
        self._arguments: tuple[Any, ...] = (0, records.prefix, batch.packed())
        batch.messages.clear()
        self._connection: Any = None
        self._trouble: Exception | None = None
        self._may_have_arrived = False

    def start(self) -> None:
        """Send it; whatever goes wrong shows when it lands."""
        try:
            self._send("EVALSHA", SCRIPT.sha)
        except store.AWAY as exc:
            self._trouble = exc

    def land(self) -> list[tuple[int, str, str]]:
        """Those jobs that were not simply created: index in the batch, verdict, state or the other job's id.

        While the store is away it is sent again for the ledger's patience, and once in any case if the connection was
        only lost. Raises ChunkFailed.
        """
        try:
            answer = self._landed()
        except (RedisError, BrokerUnavailable) as exc:
            raise self._failed(exc) from exc
        if answer[0] == "done":
            return [(answer[at] - 1, answer[at + 1], answer[at + 2]) for at in range(1, len(answer), 3)]
        why, index = answer[0], answer[1] - 1
        raise ChunkFailed(refused=self.batch.ids, place=self.batch.places[index]) from self._refusal(why, index, answer)

    def abandon(self) -> None:
        """Nobody will ask for the answer."""
        if self._connection is not None:
            self._connection.disconnect()
            self._release()

    def _landed(self) -> Any:
        try:
            return self._read()
        except NoScriptError:
            return self._sent_again()
        except ConnectionError:
            return store.insist(self._sent_again, self._records.patience_s)
        except store.AWAY as exc:
            if not self._records.patience_s:
                raise BrokerUnavailable(f"the record store did not answer: {exc}; try again shortly") from exc
            return store.insist(self._sent_again, self._records.patience_s)

    def _sent_again(self) -> Any:
        self._send("EVAL", SCRIPT.text)
        return self._read()

    def _send(self, command: str, script: str) -> None:
        self._connection = self._records.client.connection_pool.get_connection()
        try:
            self._connection.send_command(command, script, *self._arguments)
        except BaseException:
            self._may_have_arrived = True
            self.abandon()
            raise

    def _read(self) -> Any:
        if self._trouble is not None:
            trouble, self._trouble = self._trouble, None
            raise trouble
        try:
            answer = self._connection.read_response()
        except ResponseError:
            self._release()
            raise
        except BaseException:
            self._may_have_arrived = True
            self.abandon()
            raise
        self._release()
        return answer

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        self._records.client.connection_pool.release(connection)

    def _failed(self, exc: Exception) -> ChunkFailed:
        is_refusal = isinstance(exc, (*_KINDS, *store.AWAY, BrokerUnavailable)) or str(exc).startswith(_CODES)
        if is_refusal and not self._may_have_arrived:
            return ChunkFailed(refused=self.batch.ids)
        return ChunkFailed(doubtful=self.batch.ids)

    def _refusal(self, why: str, index: int, answer: list[Any]) -> PlatformError:
        return self.batch.conflict(index, answer[2]) if why == "taken" else NotARecord(self.batch.ids[index])
