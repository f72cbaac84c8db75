"""Calls of one socket: a function's work runs on a Celery worker, and its answer comes back on the same socket."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent

from platform import store
from platform.errors import BrokerUnavailable, NotUnique
from platform.jobs.record import Job
from platform.jobs.states import State
from platform.serialization import NotJSON
from platform.settings import settings
from tasks.modules import Function, UnknownFunction, find_function
from tasks.signatures import InvalidArguments
from web.sockets.protocol import answers, messages
from web.sockets.protocol.messages import Refused
from web.waiting import wait_for

if TYPE_CHECKING:
    from web.identity import Caller

log = logging.getLogger(__name__)

#: Calls of one socket under way at a time.
MOST_CALLS = 32


class Calls:
    """Those under way; each waits in a greenlet of its own, and the socket may go on saying other things."""

    def __init__(self, say: Callable[[bytes], None]):
        self._say = say
        self._under_way: set[gevent.Greenlet] = set()

    def begin(self, caller: Caller, message: messages.Call) -> None:
        """Enqueue the function and answer when it is done. Raises Refused, BrokerUnavailable."""
        if len(self._under_way) >= MOST_CALLS:
            raise Refused("too_many", f"at most {MOST_CALLS} calls at a time; wait for an answer")
        if not caller.scope.allows_call(message.module, message.function):
            raise Refused("forbidden", f"the token does not allow {message.module}/{message.function}")
        found, job_id = _submitted(caller, message)
        greenlet = gevent.spawn(self._answer, found, job_id, message)
        self._under_way.add(greenlet)
        greenlet.link(self._under_way.discard)

    def forget(self) -> None:
        """Nobody waits for the answers any more; the jobs go on."""
        gevent.killall(list(self._under_way), block=False)

    def _answer(self, found: Function, job_id: str, message: messages.Call) -> None:
        wait_s = settings().function_wait_s if found.wait_s is None else found.wait_s
        try:
            job = wait_for(job_id, wait_s)
        except (BrokerUnavailable, *store.AWAY) as exc:
            text = f"the job was accepted, but what became of it cannot be read now: {exc}"
            self._say(answers.error(Refused("unavailable", text, {"job_id": job_id}), message.ref))
        else:
            self._say(_reply(job, message))


def _submitted(caller: Caller, message: messages.Call) -> tuple[Function, str]:
    try:
        found = find_function(message.module, message.function)
        kwargs = found.signature.from_json(message.args)
        headers = {"owner": caller.account_id, "app_id": caller.app_id}
        return found, found.task.apply_async(kwargs=kwargs, headers=headers).id
    except UnknownFunction as exc:
        raise Refused("unknown_function", str(exc)) from exc
    except (InvalidArguments, NotJSON) as exc:
        raise Refused("invalid_arguments", str(exc)) from exc
    except NotUnique as exc:
        raise Refused("conflict", str(exc)) from exc


def _reply(job: Job, message: messages.Call) -> bytes:
    if job.state == State.COMPLETED:
        return answers.Reply(job.result, job.job_id, message.ref).encoded()
    facts: dict[str, Any] = {"job_id": job.job_id}
    if job.state == State.FAILED and job.error:
        what = f"{message.module}.{message.function} failed: {job.error['type']}: {job.error['message']}"
        return answers.error(Refused("call_failed", what, facts), message.ref)
    if job.state == State.CANCELLED:
        return answers.error(Refused("call_failed", "the job was cancelled", facts), message.ref)
    return answers.error(Refused("call_pending", "the function goes on as a job; follow it", facts), message.ref)
