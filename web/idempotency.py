"""``Idempotency-Key``: a ``POST`` that may be sent again, answered as it was the first time.

A key belongs to its caller and to one request; with another path or body it is refused. The first answer is kept for
a day. A job's id is made from the key, so that even a request whose server died between enqueuing and answering
enqueues nothing new when it comes again.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import uuid
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import redis
from flask import Request, Response, g

from platform import serialization, store
from platform.leases.scripts import Script, run
from web.problems import Problem

log = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"
MAX_KEY_CHARS = 255
KEPT_S = 86_400
# A request under way says so again and again; one silent for longer has lost its server, or could not take its word
# back because the record store was away. It may be tried again.
UNDER_WAY_S = 5
RENEW_S = UNDER_WAY_S / 4
KEPT_HEADERS = ("Content-Type", "Location", "ETag")
# Not what another request has put there since this one's word ran out.
TAKE_BACK = Script("return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0")


@dataclass(frozen=True)
class Reservation:
    """This request's hold on its key, for as long as the block lasts, and then what it left there."""

    name: str
    fingerprint: str
    line: bytes

    def __enter__(self) -> None:
        _renewals.begin(self.name)

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        _renewals.end(self.name)

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
        run(store.client(), TAKE_BACK, keys=[self.name], args=[self.line])


class Renewals:
    """Keeps the words of this process's requests under way from running out; a thread (under gevent: a greenlet)."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self, name: str) -> None:
        self._names.add(name)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="idempotency-renewals", daemon=True)
                self._thread.start()

    def end(self, name: str) -> None:
        self._names.discard(name)

    def _run(self) -> None:
        while True:
            time.sleep(RENEW_S)
            try:
                self._renew()
            except redis.RedisError as exc:
                log.debug("requests under way could not say so: %s", exc)  # the next round may

    def _renew(self) -> None:
        names = list(self._names)
        if not names:
            return
        with store.client().pipeline(transaction=False) as pipe:
            for name in names:
                pipe.expire(name, UNDER_WAY_S, gt=True)  # never less: an answer there is kept for a day
            pipe.execute()


_renewals = Renewals()


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
    fingerprint = _fingerprint(request)
    line = serialization.encode({"fingerprint": fingerprint, "status": 0, "by": uuid.uuid4().hex})
    mine = Reservation(f"{store.key_prefix()}idempotency:{scope}", fingerprint, line)
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
