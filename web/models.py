"""``/model/{type}``: documents, changed through the pipeline, read from the database."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import g, request

from platform import serialization
from platform.database import DatabaseUnavailable
from platform.documents import store
from platform.documents.acceptance import DOCUMENT_ID
from platform.documents.change import Act, Change
from platform.documents.errors import ChangeRefused, UnknownDocument
from platform.documents.filters import BadFilter, parsed
from platform.documents.model import Model, model_of, models
from platform.settings import settings
from tasks import pipeline
from web import refusals
from web.jobs import accepted
from web.preferences import wait_seconds
from web.problems import Problem
from web.routing import Endpoint, Routes
from web.schemas.body import Members
from web.schemas.documents import (
    AnyDocument,
    AnyDocumentPage,
    ChangeAnswer,
    DeletedAnswer,
    DocumentFilter,
    Patch,
    document_of,
    page_of_documents,
)
from web.schemas.paging import page_of

MEDIA = ("application/json-patch+json", "application/json")
#: One version, as the ETags here have it; the quotes may be left out.
VERSION = re.compile(r'"([1-9][0-9]{0,17})"|([1-9][0-9]{0,17})')

#: Makes an answer of a change and its job's result.
Told = Callable[[Change, Any], dict[str, Any]]


class DocumentRoutes(Routes):
    """Mounted once for whatever type there is, described once for each model."""

    def described(self) -> list[Endpoint]:
        return [_of(model, endpoint) for model in models() for endpoint in self.endpoints]


routes = DocumentRoutes(tag="Documents")


@routes.post(
    "/model/<type>",
    body=Members,
    answers={202: ChangeAnswer, 201: AnyDocument},
    problems=(404, 409),
    summary="create a document",
)
def create(type: str, body: dict[str, Any]) -> Any:
    """The body has the document's own fields; it gets an id, and you are its owner. With `Prefer: wait=N` the answer
    is 201 with the stored document if it is stored in time, or what refused it.
    """
    _refuse_too_large(body)
    change = _change("create", type, _new_id(), user_id=g.caller.account_id, data=body)
    return _passed_on(change, _document_of, 201, {"Location": f"/model/{type}/{change.id}"})


@routes.patch(
    "/model/<type>/<id>",
    body=Patch,
    media=MEDIA,
    answers={202: ChangeAnswer, 200: AnyDocument},
    problems=(404, 409),
    summary="patch a document",
)
def patch(type: str, id: str, body: Any) -> Any:
    """RFC 6902, all operations or none; also with paths and values as lists. With `If-Match: "3"` only if that is the
    document's version, else 409. With `Prefer: wait=N` the answer is 200 with the stored document if it is stored in
    time, or what refused it.
    """
    change = _change("patch", type, id, patch=body, if_version=_wanted_version())
    return _passed_on(change, _document_of, 200)


@routes.delete(
    "/model/<type>/<id>",
    answers={202: ChangeAnswer, 200: DeletedAnswer},
    problems=(404, 409, 422),
    summary="delete a document",
)
def delete(type: str, id: str) -> Any:
    """With `If-Match: "3"` only if that is its version, else 409. With `Prefer: wait=N` the answer is 200 if it is
    gone in time, or what refused it.
    """
    change = _change("delete", type, id, if_version=_wanted_version())
    return _passed_on(change, _deleted, 200)


@routes.get(
    "/model/<type>/<id>",
    answers={200: AnyDocument, 304: None},
    problems=(404,),
    summary="one document",
)
def show(type: str, id: str) -> Any:
    """As stored last. Its `ETag` is its version: with `If-None-Match` the answer is 304 while it has that one."""
    _refuse_impossible_id(type, id)
    document = store.get(g.caller.app_id, type, id, reader=_reader())
    is_known = request.if_none_match.contains_weak(str(document["version"]))
    return (None, 304, _etag(document)) if is_known else (document, 200, _etag(document))


@routes.get(
    "/model/<type>", query=DocumentFilter, answers={200: AnyDocumentPage}, problems=(404,), summary="list documents"
)
def index(type: str, query: DocumentFilter) -> Any:
    """Those you may see that match the filter; operators see all of their tenant."""
    wanted = _filter(query.filter)
    page = store.find(g.caller.app_id, type, reader=_reader(), filter=wanted, offset=query.offset, limit=query.limit)
    return page_of(page.items, page.total, query)


def _passed_on(change: Change, told: Told, status: int, headers: dict[str, str] | None = None) -> Any:
    """202 while it is under way; for a caller that asked to wait what is ``told`` of the change and its job's result.

    Raises Problem for what is refused, at once or while the caller waits.
    """
    try:
        pipeline.submit(change)
    except ChangeRefused as exc:
        raise refusals.problem_of(type(exc).__name__, str(exc), exc.facts, act=change.act) from exc
    found = _outcome(change, told, wait_seconds(0))
    if found is None:
        return {"id": change.id, "job_id": change.change_id}, 202, {"Location": f"/jobs/{change.change_id}"}
    return found, status, {**_etag(found), **(headers or {})}


def _outcome(change: Change, told: Told, wait_s: float) -> dict[str, Any] | None:
    """What came of an accepted change, None if that cannot be said in time. Raises Problem if it was refused."""
    job = accepted(change.change_id, wait_s) if wait_s > 0 else None
    if job is None or not job.is_final:
        return None
    refusals.refuse_what_was_not_stored(job, change.act)
    return _if_readable(change, told, job.result)


def _if_readable(change: Change, told: Told, result: Any) -> dict[str, Any] | None:
    """None while the database is away: the change is stored, and a 503 would say that nothing was accepted."""
    try:
        return told(change, result)
    except DatabaseUnavailable:
        return None


def _document_of(change: Change, result: Any) -> dict[str, Any]:
    """The stored document: the one asked for or, where a stage made others of it, the first of them."""
    stored = result if isinstance(result, list) else [result]
    ids = [one["id"] for one in stored]
    first = stored[ids.index(change.id) if change.id in ids else 0]
    return store.get(change.app_id, first["type"], first["id"], reader=change.actor)


def _deleted(change: Change, result: Any) -> dict[str, Any]:
    stored = result if isinstance(result, list) else [result]
    version = next((one["version"] for one in stored if one["id"] == change.id), stored[0]["version"])
    return {"id": change.id, "job_id": change.change_id, "type": change.type, "version": version}


def _change(act: Act, type: str, id: str, **more: Any) -> Change:
    """What the caller asks for. Under an Idempotency-Key the same request makes the same change."""
    _refuse_impossible_id(type, id)
    change_id = getattr(g, "job_id", None) or str(uuid.uuid4())
    caller = {"app_id": g.caller.app_id, "actor": g.caller.account_id}
    return Change(change_id=change_id, act=act, type=type, id=id, **caller, **more)


def _new_id() -> str:
    """Under an Idempotency-Key the same request gets the same id, also where its first answer was lost."""
    job_id = getattr(g, "job_id", None)
    return uuid.uuid5(uuid.NAMESPACE_OID, job_id).hex if job_id else uuid.uuid4().hex


def _reader() -> str | None:
    """As whom the caller reads: operators as the platform, which sees every document of the tenant."""
    return None if g.caller.has_role("operator") else g.caller.account_id


def _etag(document: dict[str, Any]) -> dict[str, str]:
    return {"ETag": f'"{document["version"]}"'}


def _wanted_version() -> int:
    """The version of ``If-Match``; 0 without one, and for ``*``: what is not there cannot be changed anyway."""
    header = request.headers.get("If-Match", "*").strip()
    if header == "*":
        return 0
    found = VERSION.fullmatch(header)
    if found is None:
        text = 'give one version, as the ETag of the document has it: "3"'
        raise Problem(422, "a header does not fit", errors=[{"loc": ["header", "If-Match"], "msg": text}])
    return int(found[1] or found[2])


def _filter(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        filter = serialization.decode(text)
        parsed(filter)
    except BadFilter as exc:
        message = str(exc)
    except ValueError as exc:
        message = f"it is not readable JSON: {exc}"
    else:
        return filter
    raise Problem(422, "the query does not fit", errors=[{"loc": ["query", "filter"], "msg": message}])


def _refuse_impossible_id(type: str, id: str) -> None:
    """A document cannot have it, so there is none. Raises UnknownModel, UnknownDocument."""
    model_of(type)
    if not DOCUMENT_ID.fullmatch(id):
        raise UnknownDocument(type, id)


def _refuse_too_large(fields: dict[str, Any]) -> None:
    limit = settings().document_max_bytes
    if len(serialization.encode(fields)) > limit:
        raise Problem(413, f"the document is larger than {limit} bytes of JSON (PLATFORM_DOCUMENT_MAX_BYTES)")


def _of(model: type[Model], endpoint: Endpoint) -> Endpoint:
    """The endpoint as it is for one model."""
    name = model.declared.type
    return replace(
        endpoint,
        path=endpoint.path.replace("<type>", name),
        summary=f"{name}: {endpoint.summary}",
        body=_told_of(model, endpoint.body),
        answers={status: _told_of(model, kind) for status, kind in endpoint.answers.items()},
        operation=f"{name}.{endpoint.handler.__name__}",
    )


def _told_of(model: type[Model], kind: Any) -> Any:
    if kind is Members:
        return model
    if kind is AnyDocument:
        return document_of(model)
    return page_of_documents(model) if kind is AnyDocumentPage else kind
