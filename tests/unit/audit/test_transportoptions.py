"""Options of the transport: what hides messages, what kombu ignores, what hangs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from platform.audit import transportoptions
from platform.audit.subject import Subject
from tests.unit.audit.conftest import RABBIT


def with_options(subject: Subject, **options: Any) -> Subject:
    subject.app.conf.broker_transport_options = subject.app.conf.broker_transport_options | options
    return subject


def all_of(subject: Subject) -> list[Any]:
    return [found for check in transportoptions.CHECKS for found in check(subject)]


@pytest.mark.parametrize("broker_url", ["redis://127.0.0.1:1/0", "sentinel://127.0.0.1:1", RABBIT])
def test_the_options_as_they_are_shipped_are_silent(new_subject: Callable[..., Subject], broker_url: str) -> None:
    assert all_of(new_subject(broker_url=broker_url)) == []


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [
        ("priority_steps", [0, 3, 6, 9], "messages-hidden"),
        ("sep", ":", "messages-hidden"),
        ("global_keyprefix", "mine:", "messages-hidden"),
        ("lease", "host.1.abc", "messages-hidden"),
        ("SOCKET_TIMEOUT", 3600, "transport-option-unknown"),
        ("visibility_timeout", 3600, "visibility-timeout"),
        ("socket_timeout", None, "no-socket-timeout"),
        ("socket_connect_timeout", 0, "no-socket-timeout"),
        ("retry_on_timeout", True, "repeats-after-timeout"),
        ("max_connections", 3, "few-connections"),
        ("socket_keepalive", False, "no-keepalive"),
        ("fanout_prefix", False, "shared-broadcasts"),
    ],
)
def test_a_dangerous_option_of_redis_is_found(
    new_subject: Callable[..., Subject], codes: Callable[..., set[str]], option: str, value: Any, code: str
) -> None:
    assert codes(all_of(with_options(new_subject(), **{option: value}))) == {code}


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [("confirm_publish", False, "publishes-unconfirmed"), ("read_timeout", None, "no-socket-timeout")],
)
def test_a_dangerous_option_of_rabbitmq_is_found(
    new_subject: Callable[..., Subject], codes: Callable[..., set[str]], option: str, value: Any, code: str
) -> None:
    assert codes(all_of(with_options(new_subject(broker_url=RABBIT), **{option: value}))) == {code}


def test_a_misspelt_option_names_the_nearest(new_subject: Callable[..., Subject]) -> None:
    (found,) = all_of(with_options(new_subject(), SOCKET_TIMEOUT=3600))
    assert "did you mean 'socket_timeout'" in found.problem
