"""RabbitMQ as it is: needs a server of its own (``TEST_BROKER_URL``); what workers would declare needs none."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue

from platform.audit import rabbitmq as checks
from platform.audit.rabbit import Rabbit
from platform.audit.servers import Away, Place
from platform.audit.subject import Subject
from platform.celery import Platform
from tests import processes, rabbitmq

RABBIT = os.environ.get("TEST_BROKER_URL", "")
PLACE = Place("the broker", "amqp://x")
New = Callable[..., Subject]

needs_rabbitmq = pytest.mark.skipif(not RABBIT.startswith("amqp"), reason="no RabbitMQ")


def all_of(subject: Subject) -> dict[str, str]:
    return {found.code: found.severity.value for check in checks.CHECKS for found in check(subject)}


def seen(new_subject: New, rabbit: Rabbit | Away, queue_type: str = "classic", **keys: Any) -> Subject:
    """A subject whose RabbitMQ answered so: versions and alarms that no server here has."""
    subject = new_subject(broker_url="amqp://127.0.0.1:1//", queue_type=queue_type)
    subject.app = Platform("audited", config_source="celeryconfig", set_as_current=False)
    subject.app.conf.update(keys)
    subject.__dict__["rabbit"] = rabbit
    return subject


@needs_rabbitmq
def test_a_sound_server_is_silent_but_for_its_age(new_subject: New, worker: Callable[..., Any]) -> None:
    worker()
    subject = new_subject()
    assert isinstance(subject.rabbit, Rabbit)
    assert (subject.rabbit.consumers["offload"], subject.rabbit.mismatches) == (1, {})
    assert set(all_of(subject)) <= {"consumer-timeout"}


@pytest.fixture
def bare(broker_url: str) -> str:
    """A RabbitMQ no worker has ever been at."""
    with Connection(broker_url) as connection:
        for name in rabbitmq.queue_names():
            connection.default_channel.queue_delete(name)
    return broker_url


@needs_rabbitmq
def test_nothing_is_declared_by_looking(new_subject: New, bare: str) -> None:
    assert new_subject().rabbit.waiting == {}  # type: ignore[union-attr]
    assert new_subject().rabbit.waiting == {}  # type: ignore[union-attr]


@needs_rabbitmq
def test_a_queue_with_other_arguments_is_an_error(new_subject: New, bare: str) -> None:
    with Connection(bare) as connection:
        Queue("batch", Exchange("batch", type="direct"), routing_key="batch")(connection.default_channel).declare()
        found = [one for one in checks.queues(new_subject()) if one.code == "queue-declared-otherwise"]
        connection.default_channel.queue_delete("batch")
    assert [one.severity.value for one in found] == ["error"]
    assert "x-max-priority" in found[0].problem


def test_a_server_that_is_not_there_is_an_error(new_subject: New) -> None:
    subject = new_subject(broker_url=f"amqp://127.0.0.1:{processes.free_port()}//")
    subject.app = Platform("audited", config_source="celeryconfig", set_as_current=False)
    subject.app.conf.broker_url = subject.config.broker_url
    assert all_of(subject)["broker-away"] == "error"


@pytest.mark.parametrize(
    ("version", "found"),
    [("3.10.8", {"consumer-timeout"}), ("3.8.9", set()), ("3.13.7", set()), ("4.3.0", set()), ("odd", set())],
)
def test_versions(new_subject: New, version: str, found: set[str]) -> None:
    assert {one.code for one in checks.version(seen(new_subject, Rabbit(PLACE, version)))} == found


def test_jobs_that_end_in_time_do_not_meet_the_servers_timeout(new_subject: New) -> None:
    for limit_s, found in ((1700, set()), (21_600, {"consumer-timeout"}), (None, {"consumer-timeout"})):
        subject = seen(new_subject, Rabbit(PLACE, "3.10.8"), task_time_limit=limit_s)
        assert {one.code for one in checks.version(subject)} == found


@pytest.mark.parametrize(
    ("version", "kind", "found"),
    [
        ("3.13.7", "quorum", {"priorities-not-kept"}),
        ("4.1.0", "quorum", {"priorities-not-kept"}),
        ("4.3.0", "quorum", set()),
        ("3.13.7", "classic", set()),
    ],
)
def test_priorities_that_quorum_queues_do_not_keep_are_a_warning(
    new_subject: New, version: str, kind: str, found: set[str]
) -> None:
    subject = seen(new_subject, Rabbit(PLACE, version), queue_type=kind)
    assert list(checks.priorities(subject)) == []

    @subject.app.task(name="shop.urgent", shared=False, priority=9)
    def urgent() -> None: ...

    subject.__dict__.pop("tasks", None)
    assert {one.code for one in checks.priorities(subject)} == found


def test_shared_transient_queues_are_an_error_where_they_are_refused(new_subject: New) -> None:
    for version, found in (("4.2.0", set()), ("4.3.0", {"transient-queues-refused"})):
        subject = seen(new_subject, Rabbit(PLACE, version), control_queue_exclusive=False)
        assert {one.code for one in checks.version(subject)} == found


def test_an_alarm_is_an_error(new_subject: New) -> None:
    subject = seen(new_subject, Rabbit(PLACE, "4.1.0", alarm="connection blocked, see broker logs"))
    assert {one.code for one in checks.alarm(subject)} == {"broker-blocked"}


def test_queues_that_forget_or_cut_are_errors(new_subject: New) -> None:
    plain = [Queue("offload", Exchange("offload"), routing_key="offload", durable=False)]
    subject = seen(new_subject, Rabbit(PLACE, "4.1.0"), task_queues=plain)
    assert {one.code for one in checks.declarations(subject)} == {
        "queue-not-durable",
        "queue-without-priorities",
        "consumer-timeout-short",
    }
    assert list(checks.declarations(seen(new_subject, Rabbit(PLACE, "4.1.0")))) == []


def test_a_time_limit_above_the_consumer_timeout_is_an_error(new_subject: New) -> None:
    subject = seen(new_subject, Rabbit(PLACE, "4.1.0"), task_time_limit=31 * 24 * 3600)
    assert {one.code for one in checks.declarations(subject)} == {"consumer-timeout-short"}
