"""Which messages may be made of one, and how arguments are shown."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, signals
from celery import Task as CeleryTask
from celery.utils.saferepr import saferepr
from hypothesis import given
from hypothesis import strategies as st
from kombu import Producer

from platform.bulk.calls import Call, Reader
from platform.bulk.template import Template, is_plain, is_plain_call, key_of, template_of
from platform.envelope import Envelope
from platform.jobs.facts import NewJob
from platform.outbox import Posted, collecting
from tasks import app
from tests.samples import bulky

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making a message needs none; publishing one would start it."""
    monkeypatch.setattr("platform.publishing.ledger", lambda: None)


def read(item: Any, task: Any = bulky.add, **options: Any) -> tuple[Call, Reader]:
    reader = Reader(app, task, options)
    return reader.read(item), reader


def posted_of(call: Call, job_id: str = "the-id") -> Posted:
    with collecting() as outbox:
        call.apply(job_id)
    return outbox.taken()[0]


def made_of(call: Call) -> Template | None:
    posted = posted_of(call)
    return template_of(call, posted.job, posted.envelope, app)


@given(st.lists(SCALARS, max_size=5), st.booleans(), st.integers(1, 60))
def test_arguments_are_shown_as_celery_shows_them(values: list[Any], is_tuple: bool, most: int) -> None:
    args = tuple(values) if is_tuple else values
    job, envelope = NewJob("a", "t", "offload", 5), Envelope(b"", {}, "", "", {}, "offload")
    template = Template(job, envelope, True, "", tuple, None, most, 3)
    assert template._shown(args) == saferepr(args, most, 3)


@pytest.mark.parametrize("args", [(1, "%s"), ([1],), ({"a": 1},), ("x" * 3000, 1), ("ü'\"\\", 0)])
def test_another_jobs_message_is_what_celery_makes_of_it(args: tuple) -> None:
    call, _ = read((0,))
    template = made_of(call)
    assert template is not None
    ours = json.loads(template.text('b"%s', "the-tag", args, {}))
    theirs = json.loads(posted_of(read(args)[0], 'b"%s').envelope.as_text())
    ours["properties"].pop("delivery_tag")
    theirs["properties"].pop("delivery_tag")
    assert ours == theirs


def test_arguments_a_task_does_not_take_are_refused() -> None:
    template = made_of(read((0,))[0])
    assert template is not None
    with pytest.raises(TypeError):
        template.text("a", "t", (1, 2, 3), {})


@pytest.mark.parametrize(
    ("task", "item", "is_alike"),
    [
        (bulky.add, (1,), True),
        (bulky.urgent, {"args": [1], "priority": 3, "queue": "batch", "max_retries": 1}, True),
        (bulky.limited, {"expires": 5, "countdown": 9}, True),
        (bulky.add, bulky.add.s(1).set(priority=2), True),
        (bulky.add, {"args": (1,), "link": bulky.add.s(1)}, False),
        (bulky.add, {"args": (1,), "compression": "zlib"}, False),
        (bulky.stamped, (1,), False),
        (bulky.named, (1,), False),
        (bulky.typed, (bulky.Point(),), False),
        (bulky.single, (1,), False),
    ],
)
def test_only_what_follows_from_task_and_options_is_made_of_one(task: Any, item: Any, is_alike: bool) -> None:
    assert is_plain_call(read(item, task)[0]) == is_alike


def test_a_message_the_template_would_not_make_has_none() -> None:
    assert made_of(read(("x",), bulky.squeezed)[0]) is None


@pytest.mark.parametrize(("item", "is_lasting"), [({}, True), ({"expires": 5}, False)])
def test_what_counts_from_its_time_does_not_last(item: dict[str, Any], is_lasting: bool) -> None:
    template = made_of(read({"args": (1,)} | item)[0])
    assert template is not None
    assert template.is_lasting == is_lasting


def test_calls_are_alike_by_task_and_options() -> None:
    reader = Reader(app, bulky.add, {"priority": 3})
    keys = [key_of(reader.read(item), reader.options) for item in [(1,), (2,), {"args": (3,)}, {"priority": 4}]]
    assert (keys[0] == keys[1] == keys[2], keys[0] == keys[3]) == (True, False)
    with pytest.raises(TypeError):
        key_of(reader.read({"headers": {"a": 1}}), reader.options)


@pytest.fixture(params=["before_task_publish", "after_task_publish", "task_sent"])
def receiver(request: pytest.FixtureRequest) -> Iterator[None]:
    def hear(**_: Any) -> None: ...

    signal = getattr(signals, request.param)
    signal.connect(hear)
    yield
    signal.disconnect(hear)


@pytest.mark.usefixtures("receiver")
def test_nothing_is_plain_while_somebody_hears_of_each_message() -> None:
    assert not is_plain(app)


@pytest.mark.parametrize(
    ("name", "value"), [("task_send_sent_event", True), ("task_compression", "zlib"), ("task_always_eager", True)]
)
def test_nothing_is_plain_under_a_configuration_that_has_a_say(
    name: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_plain(app)
    monkeypatch.setitem(app.conf.changes, name, value)
    assert not is_plain(app)


@pytest.mark.parametrize(
    ("kind", "name"), [(CeleryTask, "apply_async"), (Celery, "send_task"), (Producer, "publish")], ids=str
)
def test_nothing_is_plain_where_a_library_wraps_their_own(
    kind: type, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As tracing libraries do."""
    stock = getattr(kind, name)

    @functools.wraps(stock)
    def traced(*args: Any, **options: Any) -> Any:
        return stock(*args, **options)

    monkeypatch.setattr(kind, name, traced)
    assert not is_plain(app)
