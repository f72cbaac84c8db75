"""Each dangerous value of Celery's keys is found; the keys as they are shipped are not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from celery.schedules import crontab

from platform.audit import celerykeys
from platform.audit.subject import Subject
from tests.unit.audit.conftest import RABBIT

BAD_ON_BOTH = [
    ("task_acks_late", False, "acks-early"),
    ("task_acks_on_timeout", False, "timeouts-loop"),
    ("task_reject_on_worker_lost", True, "lost-twice"),
    ("task_retry_on_worker_lost", True, "lost-twice"),
    ("worker_consumer", "celery.worker.consumer:Consumer", "stock-consumer"),
    ("worker_disable_rate_limits", False, "rate-limits-twice"),
    ("worker_soft_shutdown_timeout", 10.0, "soft-shutdown"),
    ("task_always_eager", True, "always-eager"),
    ("task_protocol", 1, "old-protocol"),
    ("task_publish_retry", True, "publish-retries"),
    ("task_create_missing_queues", True, "queues-from-typos"),
    ("task_default_rate_limit", "10/s", "rate-limit-for-all"),
    ("worker_prefetch_multiplier", 0, "prefetch-unlimited"),
    ("worker_prefetch_multiplier", 4, "prefetch-hoards"),
    ("worker_cancel_long_running_tasks_on_connection_loss", True, "cut-kills-jobs"),
    ("worker_enable_remote_control", False, "no-remote-control"),
    ("worker_send_task_events", True, "events-always-on"),
    ("task_send_sent_event", True, "events-always-on"),
    ("worker_max_memory_per_child", 200, "child-memory-tiny"),
    ("worker_max_tasks_per_child", 1, "child-per-task"),
    ("worker_pool", "gevent", "pool-without-limits"),
    ("broker_connection_retry", False, "worker-gives-up"),
    ("broker_connection_retry_on_startup", False, "worker-gives-up"),
    ("broker_pool_limit", None, "no-connection-pool"),
    ("result_expires", None, "chords-never-expire"),
    ("result_expires", 0, "chords-never-expire"),
    ("enable_utc", False, "local-time"),
    ("task_ack_late", True, "unknown-celery-key"),
    ("accept_content", ["platform-json", "json", "pickle"], "accepts-pickle"),
    ("task_serializer", "pickle", "accepts-pickle"),
    ("accept_content", ["json"], "refuses-own-messages"),
    ("task_serializer", "yaml", "serializer-refused"),
    ("result_backend", "redis://127.0.0.1:1/0", "outcomes-not-recorded"),
    ("broker_connection_timeout", 60, "slow-to-fail"),
    ("broker_connection_timeout", None, "slow-to-fail"),
]
BAD_ON_RABBITMQ = [
    ("task_default_delivery_mode", 1, "messages-not-durable"),
    ("broker_heartbeat", 0, "no-heartbeat"),
    ("event_queue_ttl", None, "events-pile-up"),
]
BAD_ON_REDIS = [("worker_disable_prefetch", False, "prefetch-hoards")]


def all_of(subject: Subject) -> list[Any]:
    return [found for check in celerykeys.CHECKS for found in check(subject)]


@pytest.mark.parametrize("broker_url", ["redis://127.0.0.1:1/0", RABBIT])
def test_the_keys_as_they_are_shipped_are_silent(new_subject: Callable[..., Subject], broker_url: str) -> None:
    assert all_of(new_subject(broker_url=broker_url)) == []


@pytest.mark.parametrize(("key", "value", "code"), BAD_ON_BOTH)
def test_a_dangerous_value_is_found(
    new_subject: Callable[..., Subject], codes: Callable[..., set[str]], key: str, value: Any, code: str
) -> None:
    assert code in codes(all_of(new_subject({key: value})))


@pytest.mark.parametrize(("key", "value", "code"), BAD_ON_RABBITMQ)
def test_a_value_dangerous_on_rabbitmq_is_found_there_alone(
    new_subject: Callable[..., Subject], codes: Callable[..., set[str]], key: str, value: Any, code: str
) -> None:
    assert code in codes(all_of(new_subject({key: value}, broker_url=RABBIT)))
    assert codes(all_of(new_subject({key: value}))) == set()


@pytest.mark.parametrize(("key", "value", "code"), BAD_ON_REDIS)
def test_a_value_dangerous_on_redis_is_found_there_alone(
    new_subject: Callable[..., Subject], codes: Callable[..., set[str]], key: str, value: Any, code: str
) -> None:
    assert code in codes(all_of(new_subject({key: value})))
    assert codes(all_of(new_subject({key: value}, broker_url=RABBIT))) == set()


def test_every_rule_has_a_value_here() -> None:
    tried = {(key, code) for key, _, code in (*BAD_ON_BOTH, *BAD_ON_RABBITMQ, *BAD_ON_REDIS)}
    assert {(rule.key, rule.code) for rule in celerykeys.RULES} <= tried


def test_limits_the_wrong_way_round_are_an_error(
    new_subject: Callable[..., Subject], codes: Callable[..., set[str]]
) -> None:
    assert codes(all_of(new_subject({"task_soft_time_limit": 60, "task_time_limit": 60})), "error") == {
        "soft-limit-after-hard"
    }
    assert all_of(new_subject({"task_soft_time_limit": 50, "task_time_limit": 60})) == []


@pytest.mark.parametrize("every", [5, 5.0, timedelta(seconds=5)])
def test_a_schedule_of_an_unknown_task_is_an_error(
    new_subject: Callable[..., Subject], codes: Callable[..., set[str]], every: Any
) -> None:
    entry = {"task": "shop.nothing", "schedule": every, "options": {"queue": "nowhere"}}
    found = all_of(new_subject({"beat_schedule": {"often": entry}}))
    assert codes(found, "error") == {"schedule-of-unknown-task", "schedule-to-unknown-queue"}
    assert codes(found, "note") == {"schedule-piles-up"}


@pytest.mark.parametrize(
    "entry", [{"schedule": 5, "options": {"expires": 5}}, {"schedule": 300.0}, {"schedule": crontab(hour=3)}]
)
def test_a_sound_schedule_is_silent(new_subject: Callable[..., Subject], entry: dict[str, Any]) -> None:
    assert all_of(new_subject({"beat_schedule": {"sound": {"task": "tasks.files.digest", **entry}}})) == []
