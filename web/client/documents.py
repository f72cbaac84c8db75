"""``/model/{type}`` as generators of requests (see ``web.client.exchange``)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import httpx2
import msgspec

from web.client import jobs
from web.client.errors import APIError, NotFoundError, WaitTimeout
from web.client.exchange import Flow, Request, path, preferences, read
from web.client.models import Accepted, Document, Job, JobError, Page

PAGE_SIZE = 200
PATCH_TYPE = "application/json-patch+json"
#: A document's members that are not its model's fields, and what they are called here.
SYSTEM = {
    "appId": "app_id",
    "userId": "user_id",
    "type": "type",
    "id": "id",
    "version": "version",
    "createdAt": "created_at",
    "updatedAt": "updated_at",
}
#: What the server answers to a caller who waits, by the error of the change's job.
STATUS = {
    "UnknownDocument": 404,
    "VersionConflict": 409,
    "PatchConflict": 409,
    "DocumentExists": 409,
    "InvalidDocument": 422,
    "BadPatch": 422,
}

F = TypeVar("F")


@dataclass(frozen=True)
class Kind(Generic[F]):
    """Documents of the type ``name``; ``fields``: what theirs are read as, dict, a dataclass or a msgspec.Struct."""

    name: str
    fields: type[F]

    def create(
        self, fields: F | Mapping[str, Any], wait_s: float | None, idempotency_key: str | None
    ) -> Flow[Document[F] | Accepted]:
        deadline = time.monotonic() + (wait_s or 0.0)
        response = yield Request("POST", self._path(), body=fields, **preferences(wait_s, idempotency_key))
        return (yield from self._outcome(response, wait_s, deadline))

    def patch(
        self, id: str, operations: Sequence[Mapping[str, Any]], if_version: int | None, wait_s: float | None
    ) -> Flow[Document[F] | Accepted]:
        deadline = time.monotonic() + (wait_s or 0.0)
        more = _preferences(wait_s, if_version, {"Content-Type": PATCH_TYPE})
        response = yield Request("PATCH", self._path(id), body=operations, **more)
        return (yield from self._outcome(response, wait_s, deadline))

    def delete(self, id: str, if_version: int | None, wait_s: float | None) -> Flow[Accepted]:
        deadline = time.monotonic() + (wait_s or 0.0)
        response = yield Request("DELETE", self._path(id), **_preferences(wait_s, if_version))
        accepted = read(response, Accepted)
        if response.status_code == 202 and wait_s is not None:
            yield from _ended(accepted, wait_s, deadline)
        return accepted

    def get(self, id: str) -> Flow[Document[F]]:
        response = yield Request("GET", self._path(id))
        return self.read(response, read(response, dict[str, Any]))

    def read(self, response: httpx2.Response, document: Mapping[str, Any]) -> Document[F]:
        """A document of an answer. Raises APIError if it is none, or does not fit ``fields``."""
        system = {ours: document.get(theirs) for theirs, ours in SYSTEM.items()}
        fields = {name: value for name, value in document.items() if name not in SYSTEM}
        try:
            return msgspec.convert({**system, "fields": fields}, Document[self.fields])  # type: ignore[name-defined]
        except msgspec.ValidationError as exc:
            message = f"{response.request.url} answered a document that is no {self.name} ({exc})"
            raise APIError(message, response.status_code) from exc

    def _outcome(
        self, response: httpx2.Response, wait_s: float | None, deadline: float
    ) -> Flow[Document[F] | Accepted]:
        if response.status_code != 202:
            return self.read(response, read(response, dict[str, Any]))
        accepted = read(response, Accepted)
        if wait_s is None:
            return accepted
        yield from _ended(accepted, wait_s, deadline)
        return (yield from self.get(accepted.id))

    def _path(self, *id: str) -> str:
        return path("model", self.name, *id)


def _preferences(
    wait_s: float | None, if_version: int | None, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    wanted = preferences(wait_s)
    match = {} if if_version is None else {"If-Match": f'"{if_version}"'}
    return {**wanted, "headers": {**wanted["headers"], **match, **(headers or {})}}


def _ended(accepted: Accepted, wait_s: float, deadline: float) -> Flow[None]:
    """Return when the change is stored, which the server did not see. Raises as it would have, or WaitTimeout."""
    job = yield from jobs.followed((yield from jobs.get(accepted.job_id)), deadline)
    if not job.is_final:
        raise WaitTimeout(f"the change of {accepted.id} is not stored after {wait_s:g} s; its job goes on", job)
    _refuse_what_was_not_stored(job)


def _refuse_what_was_not_stored(job: Job) -> None:
    if job.state == "cancelled":
        raise APIError(f"job {job.job_id} was cancelled", 409)
    if job.state == "failed" and job.error is not None:
        raise _refusal(job.error)
    if isinstance(job.result, dict) and "dropped" in job.result:
        raise APIError(f"the stage {job.result['dropped']} dropped the change; nothing was stored", 422)


def _refusal(error: JobError) -> APIError:
    message, status = f"{error.type}: {error.message}", STATUS.get(error.type, 500)
    refusal = NotFoundError(message) if status == 404 else APIError(message, status)
    refusal.problem = {"detail": message, "status": status, "errors": error.facts.get("errors") or []}
    return refusal


class Listing(Generic[F]):
    """All documents that match, oldest first, read page by page; none shows twice."""

    def __init__(self, kind: Kind[F], filter: Mapping[str, Any] | None = None):
        self.has_more = True
        self._kind = kind
        self._filter = None if filter is None else msgspec.json.encode(filter).decode()
        self._number = 0
        self._seen: set[str] = set()

    def next(self) -> Flow[list[Document[F]]]:
        """The next page's documents, perhaps none; to be asked for while ``has_more``."""
        self._number += 1
        query = {"filter": self._filter, "page": self._number, "limit": PAGE_SIZE}
        response = yield Request("GET", path("model", self._kind.name), query=query)
        page = read(response, Page[dict[str, Any]])
        self.has_more = self._number < page.pages
        found = [self._kind.read(response, one) for one in page.items]
        fresh = [document for document in found if document.id not in self._seen]
        self._seen.update(document.id for document in fresh)
        return fresh
