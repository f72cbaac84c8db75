"""Misspelt task options and Celery keys are refused."""

from __future__ import annotations

import pytest

from platform.celery import Platform
from platform.errors import BadOption, UnknownOption
from platform.options import check_keys
from tasks import app


@pytest.mark.parametrize(
    ("options", "nearest"),
    [({"publik": True}, "public"), ({"ignore_results": True}, "ignore_result"), ({"task_ack_late": 1}, "acks_late")],
)
def test_an_unknown_task_option_is_refused_at_import(options: dict[str, object], nearest: str) -> None:
    with pytest.raises(UnknownOption, match=f"did you mean '{nearest}'"):
        app.task(**options)


def test_what_celery_and_the_platform_read_is_accepted() -> None:
    own = Platform("options-test", set_as_current=False, config_source={"task_always_eager": True})

    @own.task(
        name="x", bind=True, public=True, priority=7, max_retries=5, queue="batch", rate_limit="1/s", acks_late=True,
        autoretry_for=(ValueError,), retry_backoff=True, time_limit=5, soft_time_limit=4, throws=(KeyError,),
    )  # fmt: skip
    def task(self) -> None: ...

    assert (task.default_priority, task.default_queue, task.public) == (7, "batch", True)


@pytest.mark.parametrize("priority", [10, -1, "x", "5", True, 5.0])
def test_a_priority_that_is_none_is_refused_at_import(priority: object) -> None:
    with pytest.raises(BadOption, match=r"priority=.* is not a whole number from 0 to 9, 9 most urgent"):
        app.task(priority=priority)


@pytest.mark.parametrize("most", [-1, "3", True, 2.5])
def test_a_number_of_retries_that_is_none_is_refused_at_import(most: object) -> None:
    with pytest.raises(BadOption, match=r"max_retries=.* is not a whole number from 0; None is without end"):
        app.task(max_retries=most)


@pytest.mark.parametrize("options", [{"priority": 0, "max_retries": 0}, {"priority": None, "max_retries": None}])
def test_the_least_of_both_and_none_are_accepted(options: dict[str, object]) -> None:
    app.task(**options)


def test_options_of_a_tasks_own_base_class_are_accepted() -> None:
    class WithRegion(app.Task):
        abstract = True
        region = "eu"

    app.task(base=WithRegion, region="us")


def test_an_unknown_celery_key_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownOption, match="unknown Celery key 'task_ack_late'; did you mean 'task_acks_late'"):
        check_keys(["task_acks_late", "task_ack_late"])


def test_a_configuration_with_an_unknown_key_does_not_load() -> None:
    own = Platform("keys-test", set_as_current=False, config_source={"task_seralizer": "json"})
    with pytest.raises(UnknownOption, match="task_serializer"):
        own.conf.get("task_serializer")
