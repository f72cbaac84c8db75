"""Celery's keys, translated from the platform's settings. Nothing is decided here that a setting could decide.

Celery accepts misspelt keys in silence; the app refuses them (``platform.options``). Names that are not
keys start with an underscore.
"""

from platform import endpoints as _endpoints
from platform import queues as _queues
from platform import serialization as _serialization
from platform import transport as _transport
from platform.settings import settings as _settings

_config = _settings()
_broker_url = _endpoints.broker_url(_config)
_broker_is_redis = _endpoints.is_redis(_broker_url)

# -- broker

broker_url = _transport.url(_broker_url)
# For programs that publish: one quick try. Workers are more patient (platform.signals).
broker_connection_timeout = _config.broker_timeout_s  # seconds
broker_connection_retry_on_startup = True
broker_transport_options = _transport.QUICK_CONNECT | (
    {
        "priority_steps": list(range(10)),
        "global_keyprefix": _transport.key_prefix(_config),
        "socket_timeout": _config.broker_timeout_s,  # seconds; a frozen server must not freeze its clients
        "socket_connect_timeout": _config.broker_timeout_s,
        "socket_keepalive": True,
        "master_name": _config.sentinel_master,
    }
    if _broker_is_redis
    else {
        "confirm_publish": True,  # a publish that RabbitMQ did not confirm is an error, not a hope
        "read_timeout": _config.broker_timeout_s,  # seconds
        "write_timeout": _config.broker_timeout_s,
    }
)
broker_heartbeat = 10  # seconds; RabbitMQ notices a dead worker after two of them
task_publish_retry = False  # the caller hears at once; submitting again with the same id is safe

# -- queues

task_queues = _queues.declared(_config)
task_default_queue = _queues.OFFLOAD
task_default_exchange = _queues.OFFLOAD
task_default_routing_key = _queues.OFFLOAD
task_routes = (_queues.route,)
task_create_missing_queues = False  # a misspelt queue is an error, not a queue nobody serves

# -- what travels

task_serializer = _serialization.NAME
result_serializer = _serialization.NAME
event_serializer = _serialization.NAME
accept_content = [_serialization.NAME, "json"]  # "json" for other programs' messages and remote control; never pickle
enable_utc = True
timezone = "UTC"

# -- running

task_acks_late = True  # acknowledged when done: a dead worker's job is not lost
task_acks_on_failure = True
task_acks_on_timeout = True
task_track_started = False  # the record of the job says so already
worker_prefetch_multiplier = 1  # a message waiting inside a worker is out of the order of priorities
worker_disable_prefetch = _broker_is_redis  # exact on Redis; RabbitMQ has no such switch
# After a lost connection Celery takes less for a while, by running jobs; on Redis the free slots alone decide.
worker_enable_prefetch_count_reduction = not _broker_is_redis
worker_consumer = "platform.consumer:Consumer"
worker_disable_rate_limits = True  # Celery's are per worker and hold jobs in its memory
task_time_limit = _config.time_limit_s or None  # seconds
task_soft_time_limit = _config.soft_time_limit_s or None
worker_concurrency = _config.worker_concurrency or None
worker_cancel_long_running_tasks_on_connection_loss = False
worker_hijack_root_logger = True
worker_send_task_events = False  # Flower switches them on while it runs; unread events cost 40 % of throughput
imports = (
    "tasks.accounts",
    "tasks.batch",
    "tasks.deadletters",
    "tasks.files",
    "tasks.models",
    "tasks.pipeline",
    *_config.imports,
)
beat_scheduler = "platform.schedules.beat:Scheduler"  # any number of beats, of which one acts; nothing in a file

# -- outcomes: in the job's record (platform.results)

result_backend = "platform.results:JobBackend"
result_backend_transport_options = {"global_keyprefix": f"{{{_config.key_prefix}}}:"}
result_expires = _config.keep_completed_s  # seconds; of chords' counters and saved groups
