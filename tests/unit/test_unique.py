"""A unique task's rule is checked where it is written; equal calls have one lock, however they are spelt."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from platform.celery import Platform
from platform.errors import NotUnique
from platform.unique import BadUnique, Unique, lock_of, rule_of

#: Apart from the one app, whose tasks are everybody's.
app = Platform("unique-test", set_as_current=False, config_source="celeryconfig")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("yes", "write True, or Unique"),
        (1, "write True, or Unique"),
        ({"untill": "done"}, "no 'untill'; did you mean 'until'?"),
        ({"x": 1}, "there are until, for_s, on_conflict, by"),
        ({"until": "end"}, "until='end' is not start or done"),
        ({"until": "stat"}, "did you mean 'start'"),
        ({"until": True}, "until=True is not start or done"),
        ({"on_conflict": None}, "on_conflict=None is not return, reject or replace"),
        ({"on_conflict": "retrun"}, "did you mean 'return'"),
        ({"for_s": 0}, "for_s=0 is not a number of seconds"),
        ({"for_s": True}, "for_s=True is not"),
        ({"for_s": "60"}, "for_s='60' is not"),
        ({"for_s": float("nan")}, "for_s=nan is not"),
        ({"for_s": 1e9}, "366 days"),
        ({"for_s": 5, "until": "done"}, "until or for_s, not both"),
        ({"by": 7}, "by=7: give the names"),
        ({"by": (1,)}, "give the names"),
        ({"by": "custmer"}, "by='custmer' is no argument of task; did you mean 'customer'"),
        ({"by": ("customer", "self")}, "by='self' is no argument of task"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_at_import(value: Any, text: str) -> None:
    with pytest.raises(BadUnique, match=text.replace("?", "[?]")):

        @app.task(name="unique-test.bad", unique=value, bind=True)
        def task(self, customer, n=1): ...


def test_the_function_is_checked_too_where_it_is_given_directly() -> None:
    def task(customer): ...

    with pytest.raises(BadUnique, match="no argument of task"):
        app.task(task, name="unique-test.direct", unique={"by": "path"})


@pytest.mark.parametrize("value", [None, False])
def test_a_task_is_not_unique_unless_it_says_so(value: Any) -> None:
    assert rule_of(value) is None


def test_the_ways_of_writing_a_rule_mean_the_same() -> None:
    assert rule_of(True) == Unique() == rule_of({}) == rule_of(Unique(on_conflict="return"))
    assert rule_of({"by": ["a", "b"]}) == Unique(by=("a", "b"))
    assert Unique(by="a").by == ("a",)
    assert [Unique().policy, Unique("start").policy, Unique(for_s=1.5).policy] == ["done", "start", "1500"]


@app.task(name="unique-test.all", unique=True, bind=True)
def all_of(self, customer, n=1, *rest, flag=False, **more): ...


@app.task(name="unique-test.other", unique=True)
def other(customer, n=1): ...


@app.task(name="unique-test.some", unique={"by": ("n", "customer")})
def some_of(customer, n=1, note=""): ...


@app.task(name="unique-test.none", unique={"by": ()})
def none_of(customer): ...


@app.task(name="unique-test.computed", unique={"by": lambda customer, n=1: n % 2})
def computed(customer, n=1): ...


@app.task(name="unique-test.plain")
def plain(customer): ...


def name(task: Any, *args: Any, app_id: str = "", **kwargs: Any) -> str:
    lock = lock_of(task, app_id, args, kwargs)
    assert lock
    return lock.hash


def test_a_plain_task_has_no_lock() -> None:
    assert lock_of(plain, "", ("ann",), {}) is None


def test_a_call_has_one_lock_however_it_is_spelt() -> None:
    wanted = name(all_of, "ann")
    assert name(all_of, customer="ann") == wanted == name(all_of, "ann", 1) == name(all_of, "ann", flag=False, n=1)
    assert name(all_of, {"a": 1, "b": 2}) == name(all_of, {"b": 2, "a": 1})
    assert name(all_of, (1, 2)) == name(all_of, [1, 2])


def test_other_arguments_tasks_and_tenants_have_other_locks() -> None:
    calls = [
        name(all_of, "ann"), name(all_of, "bob"), name(all_of, "ann", 2), name(all_of, "ann", 1, 2),
        name(all_of, "ann", flag=True), name(all_of, "ann", flag=0), name(all_of, "ann", x=1),
        name(all_of, "ann", n=None), name(all_of, "ann", 1, "x"),
        name(all_of, None), name(all_of, "ann", app_id="shop"), name(other, "ann"),
    ]  # fmt: skip
    assert len(set(calls)) == len(calls)


def test_what_counts_may_be_named() -> None:
    assert name(some_of, "ann", note="x") == name(some_of, "ann", 1, note="y")
    assert len({name(some_of, "ann"), name(some_of, "bob"), name(some_of, "ann", 2), name(some_of, "ann", None)}) == 4
    assert name(none_of, "ann") == name(none_of, "bob")


def test_what_counts_may_be_computed() -> None:
    assert name(computed, "ann", 2) == name(computed, "bob", 4) != name(computed, "ann", 3)


def test_arguments_that_do_not_fit_have_a_lock_too() -> None:
    assert name(other) != name(other, "a", 2, 3)


def test_the_error_survives_pickling_and_names_the_job() -> None:
    lock = lock_of(other, "", ("ann",), {})
    assert lock
    error = pickle.loads(pickle.dumps(lock.conflict("shop.sync", "j-1")))
    assert (type(error), error.job_id) == (NotUnique, "j-1")
    assert str(error) == "shop.sync is unique, and its job j-1 has not ended yet; no other one was submitted"


def test_each_policy_is_told_in_its_words() -> None:
    @app.task(name="unique-test.timed", unique={"for_s": 90})
    def timed(): ...

    lock = lock_of(timed, "", (), {})
    assert lock
    assert "was submitted less than 90 s ago" in str(lock.conflict("t", "j"))
