"""Declaring a BatchWorker: names, attributes that make no sense, and what it is without a slot."""

from __future__ import annotations

from typing import Any

import pytest

from platform.polling import register
from platform.polling.errors import BadWorker
from tasks.batch import BatchWorker


@pytest.fixture(autouse=True)
def _no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "_declared", {})


def declare(**attributes: Any) -> type[BatchWorker]:
    given = {"process_batch": lambda self: 1, "queue": None, "__module__": "shop", "__qualname__": "Mailer"}
    return type("Mailer", (BatchWorker,), given | attributes)


def test_a_worker_is_called_after_its_class_unless_it_says_otherwise() -> None:
    assert (declare().name, declare(name="mailer").name) == ("shop.Mailer", "mailer")
    assert set(register.declared()) == {"shop.Mailer", "mailer"}


def test_without_a_slot_it_can_be_called_as_it_is() -> None:
    worker = declare()()
    worker.check_lease()
    assert (worker.process_batch(), worker.fence, worker.stopping) == (1, 0, False)


def test_a_class_to_derive_from_is_no_worker() -> None:
    type("Shared", (BatchWorker,), {"idle_s": 60.0})
    assert register.declared() == {}


@pytest.mark.parametrize(
    "attributes",
    [{"name": "a b"}, {"name": ""}, {"instances": 0}, {"instances": "2"}, {"active_s": -1}, {"active_s": 6.0}],
)
def test_attributes_that_make_no_sense_are_refused(attributes: dict[str, Any]) -> None:
    with pytest.raises(BadWorker, match="Mailer: "):
        declare(**attributes)


def test_two_classes_cannot_have_one_name_but_one_may_be_imported_twice() -> None:
    declare(name="mailer")
    again = declare(name="mailer")
    assert register.declared()["mailer"] is again
    with pytest.raises(BadWorker, match="called 'mailer' already"):
        declare(name="mailer", __qualname__="Other")
