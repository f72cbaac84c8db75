"""How gunicorn runs the front door: ``gunicorn -c web/gunicorn.conf.py web.wsgi:app``.

On SIGHUP the master reads this file again and starts new workers with the code as it is then; the port stays
open.
"""

import gc
import os
import select
import shutil
import sys
import time

import gevent
from gunicorn.glogging import Logger as _Logger

import web as _web  # noqa: F401 - first: it makes `platform` complete
from platform.errors import SettingsError as _SettingsError
from platform.settings import settings as _load

try:
    _load.cache_clear()  # the settings file may have changed since this was read last
    _settings = _load()
except _SettingsError as exc:
    raise SystemExit(f"Error: {exc}") from exc

# prometheus_client decides when it is imported, in the workers, whether processes share their numbers.
# Of its own: processes of the other role may run on the same folder.
_metrics = _settings.data_dir / "metrics" / ("web" if _settings.web_role == "all" else f"web-{_settings.web_role}")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_metrics)
_metrics.mkdir(parents=True, exist_ok=True)

_host = f"[{_settings.http_host}]" if ":" in _settings.http_host else _settings.http_host
bind = f"{_host}:{_settings.http_port}"
proc_name = "platform-web"
worker_class = "gevent"
workers = _settings.web_workers
# Connections served at a time in one worker. A reader of events keeps one, a socket none; the rest is for requests.
worker_connections = _settings.event_readers + 2_000
preload_app = False  # otherwise a SIGHUP would go on with the old code
max_requests = 0  # restarting a worker by count would cut its sockets
# A list by queue and task, 255 characters each, is 6 100 bytes long if every character needs four, percent-encoded.
limit_request_line = 8190
timeout = 60  # seconds a worker may be stuck without giving others a turn
graceful_timeout = 30  # seconds for requests to end and sockets to be sent away
keepalive = 5  # seconds an idle connection is kept; a stop waits for them as long
# Its default place, one per user, would be shared by every platform of that user.
control_socket_disable = True

_BOOT_TIMEOUT_S = 30.0
_reloading = {}  # "writer": where new workers say that they have loaded the code, during a reload


class _PathLogger(_Logger):
    """Logs the path as it was sent, without its query: ``?token=`` is one way to sign in.

    gunicorn's own ``%(U)s`` is decoded, and a path with ``%0A`` in it would write lines of its own.
    """

    def atoms(self, resp, req, environ, request_time):
        path = environ["RAW_URI"].partition("?")[0]
        return {**super().atoms(resp, req, environ, request_time), "U": path}


logger_class = _PathLogger
loglevel = _settings.log_level.lower()
errorlog = "-"
accesslog = "-"
access_log_format = '%(t)s %(h)s "%(m)s %(U)s" %(s)s %(B)s bytes %(M)s ms'


def on_starting(server):
    """Forget the numbers of the last run's processes, before a worker writes new ones."""
    if server.master_pid == 0:  # otherwise an old master lives on beside this one, with workers that count
        shutil.rmtree(_metrics, ignore_errors=True)
        _metrics.mkdir(parents=True)


def post_fork(server, worker):
    """Load the code as it is now: a worker inherits the few modules that this file made the master import."""
    for name in [name for name in sys.modules if name.startswith(("platform.", "tasks", "web"))]:
        del sys.modules[name]


def on_reload(server):
    """Let the new workers load the code before gunicorn sends the old ones away.

    It would do both at once, and requests would wait for as long as the imports take. With its own count of
    workers to start at 0 it only does the second (gunicorn 27, ``Arbiter.reload``).
    """
    age_of_old_workers = server.worker_age
    reader, _reloading["writer"] = os.pipe()
    for _ in range(server.cfg.workers):
        server.spawn_worker()
    os.close(_reloading.pop("writer"))  # so that the pipe ends if none of them lives
    _wait_for(reader, server.cfg.workers)
    os.close(reader)
    server.cfg.set("workers", 0)
    server.worker_age = age_of_old_workers  # gunicorn now waits until none is as old as that


def post_worker_init(worker):
    """The code is loaded: keep the collector off it, and tell the master that waits for it."""
    gc.collect()
    gc.freeze()
    if "writer" in _reloading:
        os.write(_reloading.pop("writer"), b".")
    gevent.spawn(_follow, worker)


def _follow(worker):
    """Send the sockets away as soon as the worker is told to stop, while it still ends its requests."""
    while worker.alive:
        gevent.sleep(0.1)
    from web.sockets import server as sockets

    sockets.drain()


def worker_exit(server, worker):
    """Requests have ended; the sockets, which gunicorn does not know of, may still be on their way out."""
    if "web.sockets.server" in sys.modules and os.getpid() == worker.pid:
        sys.modules["web.sockets.server"].drain()


def child_exit(server, worker):
    """Forget the gauges that only made sense while the worker lived."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)
    # The end of a reload is that old workers exit: what it had set aside goes back to its place.
    server.cfg.set("workers", _settings.web_workers)
    server.worker_age = max([server.worker_age, *(other.age for other in server.WORKERS.values())])


def _wait_for(reader, workers):
    deadline = time.monotonic() + _BOOT_TIMEOUT_S
    while workers and select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
        told = len(os.read(reader, workers))
        workers = workers - told if told else 0
