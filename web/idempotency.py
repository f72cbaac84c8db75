"""``Idempotency-Key``: a ``POST`` that may be sent again, answered as it was the first time.

A key belongs to its caller and to one request; with another path or body it is refused. The first answer is kept for
a day. A job's id is made from the key, so that even a request whose server died between enqueuing and answering
enqueues nothing new when it comes again.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import Any

from flask import Request, Response, g

from platform import serialization, store
from web.problems import Problem

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"
MAX_KEY_CHARS = 255
KEPT_S = 86_400
# A request under way for longer than this has lost its server; it may be tried again.
UNDER_WAY_S = 60
KEPT_HEADERS = ("Content-Type", "Location")


@dataclass(frozen=True)
class Reservation:
    """This request's hold on its key."""

    name: str
    fingerprint: str

    def keep(self, response: Response) -> None:
        """Keep the answer; a server's own failure (5xx) and a refusal for now (429) are not kept but may be retried."""
        if response.status_code >= 500 or response.status_code == 429:
            self.release()
            return
        headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        body = response.get_data(as_text=True)
        answer = {"fingerprint": self.fingerprint, "status": response.status_code, "headers": headers, "body": body}
        store.client().set(self.name, serialization.encode(answer), ex=KEPT_S)

    def release(self) -> None:
        store.client().delete(self.name)


def reserve(request: Request, account_id: str) -> Reservation | Response | None:
    """None without a key; the first answer, if there is one; else the right to make it.

    Raises Problem: 400 for a key that is none, 409 while the first request is under way, 422 for another request.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not 0 < len(key) <= MAX_KEY_CHARS or not key.isprintable():
        raise Problem(400, f"{HEADER} must have 1 to {MAX_KEY_CHARS} printable characters")
    scope = hashlib.sha256(f"{account_id}\n{key}".encode()).hexdigest()
    g.job_id = str(uuid.uuid5(uuid.NAMESPACE_OID, scope))
    mine = Reservation(f"{store.key_prefix()}idempotency:{scope}", _fingerprint(request))
    line = serialization.encode({"fingerprint": mine.fingerprint, "status": 0})
    known = store.client().set(mine.name, line, nx=True, get=True, ex=UNDER_WAY_S)
    return mine if known is None else _answer_again(serialization.decode(str(known)), mine)


def _answer_again(known: dict[str, Any], mine: Reservation) -> Response:
    if known["fingerprint"] != mine.fingerprint:
        raise Problem(422, f"this {HEADER} was used for another request; choose a new one")
    if not known["status"]:
        raise Problem(
            409, "the first request with this key is under way; try again shortly", headers={"Retry-After": "1"}
        )
    return Response(known["body"], known["status"], known["headers"] | {REPLAYED_HEADER: "true"})


def _fingerprint(request: Request) -> str:
    sha = hashlib.sha256(f"{request.method} {request.full_path}\n".encode())
    sha.update(request.get_data(cache=True))
    return sha.hexdigest()
