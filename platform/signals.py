"""What Celery's signals set in motion: records of retries, and a worker's life.

Outcomes are written by the result backend and starts by the task class, because a receiver's exception is
swallowed; everything that may fail without changing a job's fate is here.
"""

from __future__ import annotations

import gc
import logging
from functools import cache
from typing import Any

from celery import signals, states
from celery.exceptions import Reject
from celery.utils.serialization import get_pickleable_exception

log = logging.getLogger(__name__)

#: A worker's outcome is worth waiting for: this long a store that is away is asked again, in seconds.
WORKER_PATIENCE_S = 120.0
#: A worker's own sockets; long enough for a broker that is busy, short enough to notice one that is gone.
WORKER_SOCKET_TIMEOUT_S = 30.0


_leased: list[Any] = []


def connect() -> None:
    """Attach every receiver; calling it again changes nothing."""
    signals.celeryd_init.connect(_prepare_worker, weak=False)
    signals.celeryd_after_setup.connect(_choose_queues, weak=False)
    signals.worker_init.connect(_check_configuration, weak=False)
    signals.worker_before_create_process.connect(_spare_what_is_loaded, weak=False)
    signals.worker_ready.connect(_begin_duties, weak=False)
    signals.worker_shutting_down.connect(_end_duties, weak=False)
    signals.worker_shutdown.connect(_leave, weak=False)
    signals.beat_init.connect(_prepare_beat, weak=False)
    signals.task_retry.connect(_record_retry, weak=False)
    signals.task_postrun.connect(_record_unusual_end, weak=False)


def _prepare_worker(conf: Any = None, **_: Any) -> None:
    from platform import children, endpoints
    from platform.jobs.ledger import ledger
    from platform.leases.worker import LeasedWorker
    from platform.settings import settings
    from platform.stages.graph import batches

    endpoints.ensure_embedded(settings())
    ledger().patience_s = WORKER_PATIENCE_S
    conf.task_publish_retry = True
    conf.broker_connection_timeout = 4.0
    conf.broker_connection_max_retries = None  # for ever: a worker without a broker has nothing better to do
    conf.broker_transport_options = _patient(conf.broker_transport_options)
    children.watch()
    _leased.append(LeasedWorker(settings(), batches))
    if _leased[0].holds_messages:
        conf.broker_transport_options["lease"] = _leased[0].lease.name


def _patient(transport_options: dict[str, Any]) -> dict[str, Any]:
    from platform.transport import QUICK_CONNECT

    quick = {*QUICK_CONNECT, "read_timeout", "write_timeout"}
    kept = {name: value for name, value in transport_options.items() if name not in quick}
    return kept | ({"socket_timeout": WORKER_SOCKET_TIMEOUT_S} if "socket_timeout" in kept else {})


def _prepare_beat(**_: Any) -> None:
    from platform import endpoints
    from platform.settings import settings

    endpoints.ensure_embedded(settings())


def _choose_queues(instance: Any = None, conf: Any = None, **_: Any) -> None:
    """Without ``-Q`` all but the dead letters; never, to begin with, a paused one of RabbitMQ."""
    from platform import endpoints
    from platform.queueing import consumption
    from platform.queues import served_by_default
    from platform.settings import settings

    queues = instance.app.amqp.queues
    chosen = queues._consume_from
    if chosen is None:  # no -Q
        queues.select(served_by_default(settings()))
    if not endpoints.is_redis(endpoints.broker_url(settings())):
        consumption.prepare(queues, WORKER_PATIENCE_S)


def _check_configuration(sender: Any = None, **_: Any) -> None:
    from platform.errors import UnknownOption
    from platform.options import check_keys

    try:
        check_keys(sender.app.conf.changes)
    except UnknownOption as exc:
        raise SystemExit(str(exc)) from exc


@cache  # once: what is alive when a later child is made is no part of the program
def _freeze() -> None:
    gc.collect()
    gc.freeze()


def _spare_what_is_loaded(**_: Any) -> None:
    """Keep the collector off the loaded code: a child's first full collection would copy every page it shares."""
    _freeze()


def _begin_duties(sender: Any = None, **_: Any) -> None:
    from platform import duties
    from platform.settings import settings

    for leased in _leased:
        leased.begin(sender)
    duties.begin(sender, _leased[0])
    port = settings().health_port
    if port is not None:
        from platform import healthserver
        from platform.errors import SettingsError

        try:
            healthserver.start(port)
        except SettingsError as exc:
            # One of several workers on this machine has it; a worker without a port still works.
            log.warning("%s", exc)


def _end_duties(sender: Any = None, how: str = "", **_: Any) -> None:
    from platform import duties, stopping

    duties.end()
    if how == "Warm":
        stopping.leave_in_time(str(sender))


def _leave(**_: Any) -> None:
    while _leased:
        _leased.pop().end()


def _record_retry(request: Any = None, reason: Any = None, **_: Any) -> None:
    from platform.jobs.ledger import ANY_ATTEMPT, ledger
    from platform.results import describe_error

    cause = getattr(reason, "exc", None) or reason
    ledger().retrying(request.id, describe_error(cause), getattr(request, "attempt", None) or ANY_ATTEMPT)


def _record_unusual_end(task_id: str = "", task: Any = None, state: str = "", retval: Any = None, **_: Any) -> None:
    """A task that raised ``Ignore`` or ``Reject`` has no outcome yet in Celery; its job has.

    That of a rejected one Celery writes later, in the worker's main process, which does not know the attempt.
    """
    if state not in (states.IGNORED, states.REJECTED):
        return
    _make_portable(retval)
    attempt, is_passed_on = getattr(task.request, "attempt", None), getattr(task.request, "is_passed_on", False)
    if attempt is None or is_passed_on:
        return
    from platform.jobs.ledger import ledger
    from platform.results import describe_error

    if state == states.IGNORED:
        ledger().complete(task_id, b"null", attempt)
    elif isinstance(retval, Reject) and retval.requeue:
        ledger().requeued(task_id, attempt)
    else:
        ledger().fail(task_id, describe_error(retval), attempt)


def _make_portable(exc: Any) -> None:
    """What it was raised with may not survive the way to the main process, which ends at what it cannot unpickle.

    Celery sees to that for failures, not for these two.
    """
    if get_pickleable_exception(exc) is exc:
        return
    text, requeue = f"{getattr(exc, 'reason', None) or exc}", getattr(exc, "requeue", None)
    exc.args = (text,) if requeue is None else (text, requeue)
    if requeue is not None:
        exc.reason = text
