from __future__ import annotations

import json
import pickle
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.sockets.protocol import answers
from web.sockets.protocol.messages import (
    TYPES,
    Auth,
    BadMessage,
    Call,
    Channel,
    Message,
    Ping,
    Publish,
    Refresh,
    Refused,
    Resume,
    Subscribe,
    Unsubscribe,
    Wish,
    read,
    ref_of,
)

REFS = [1, -1, 0, 2**70, "", "a", "é😀", "\u2028"]


def said(**members: Any) -> str:
    return json.dumps(members)


def bad(text: str) -> BadMessage:
    with pytest.raises(BadMessage) as refused:
        read(text)
    assert refused.value.code == "bad_message"
    return refused.value


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"type": "auth", "token": "t"}, Auth("t")),
        ({"type": "ping"}, Ping()),
        ({"type": "ping", "ref": None}, Ping()),
        ({"type": "subscribe", "room": "lobby", "ref": 1}, Subscribe(ref=1, room="lobby")),
        (
            {"type": "subscribe", "channel": {"model": "task", "id": "d", "userId": "u"}, "filter": {}, "since": 0},
            Subscribe(channel=Channel("task", "d", "u"), filter={}, since=0),
        ),
        ({"type": "unsubscribe", "ref": "x"}, Unsubscribe(ref="x")),
        (
            {"type": "resume", "subscriptions": [{"ref": 1, "job": "j", "since": {"epoch": "e", "offset": 1}}]},
            Resume([Wish(ref=1, job="j", since={"epoch": "e", "offset": 1})]),
        ),
        ({"type": "resume", "subscriptions": []}, Resume([])),
        ({"type": "call", "module": "M", "function": "f"}, Call("M", "f")),
        ({"type": "call", "module": "M", "function": "f", "args": {"a": [1]}}, Call("M", "f", args={"a": [1]})),
        ({"type": "refresh", "token": "t", "ref": 2}, Refresh("t", 2)),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)  # fmt: skip
def test_each_type_is_read(members: dict[str, Any], message: Message) -> None:
    assert read(said(**members)) == message


def test_what_is_published_is_taken_as_it_is_written() -> None:
    message = read('{"type":"publish","room":"a","data":{"b": 1.0,  "c":[]}}')
    assert isinstance(message, Publish)
    assert bytes(message.data) == b'{"b": 1.0,  "c":[]}'


def test_every_type_is_named_where_one_is_missing() -> None:
    tags = {kind.__struct_config__.tag for kind in get_args(Message)}
    assert tags == set(TYPES)
    assert all(type in str(bad("{}")) for type in TYPES)


@pytest.mark.parametrize("ref", REFS, ids=ascii)
def test_a_ref_is_a_number_or_a_text_and_stands_in_the_answer(ref: int | str) -> None:
    message = read(said(type="ping", ref=ref))
    assert isinstance(message, Ping)
    assert json.loads(answers.Pong(message.ref).encoded()) == {"type": "pong", "ref": ref}
    assert bad(said(type="ping", ref=ref, more=1)).ref == ref
    assert ref_of(said(type="ping", ref=ref)) == ref


@pytest.mark.parametrize("ref", [1.5, None, [], {}, 1e300])
def test_what_else_stands_for_a_ref_is_left_out_of_the_answer(ref: Any) -> None:
    assert bad(said(type="nope", ref=ref)).ref is None
    assert ref_of(said(type="nope", ref=ref)) is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "JSON object"),
        ("{", "JSON object"),
        ("[]", "JSON object"),
        ('"ping"', "JSON object"),
        ("null", "JSON object"),
        ("NaN", "JSON object"),
        ('{"type":"ping"}{"type":"ping"}', ""),
        ("{}", "no type"),
        ('{"type":null}', "no type"),
        ('{"type":"subscibe"}', "did you mean 'subscribe'"),
        ('{"type":5}', "5"),
        ('{"type":["ping"]}', "ping"),
        ('{"type":"ping","more":1}', "more"),
        ('{"type":"auth"}', "token"),
        ('{"type":"auth","token":1}', "token"),
        ('{"type":"subscribe","room":1}', "room"),
        ('{"type":"subscribe","channel":"task"}', "channel"),
        ('{"type":"subscribe","channel":{}}', "model"),
        ('{"type":"subscribe","channel":{"model":"task","user":"u"}}', "user"),
        ('{"type":"subscribe","filter":[1]}', "filter"),
        ('{"type":"publish","room":"a"}', "data"),
        ('{"type":"call","module":"M","function":"f","args":[1]}', "args"),
        ('{"type":"resume","subscriptions":{}}', "subscriptions"),
        ('{"type":"resume","subscriptions":[{"since":0,"colour":1}]}', "colour"),
        ('{"type":"publish","room":"a","data":' + "[" * 100_000 + "]" * 100_000 + "}", ""),
        ('{"type":"ping","ref":"\\ud800"}', ""),
        ('{"type":"\\ud800"}', ""),
    ],
    ids=lambda text: repr(text[:50]),
)
def test_what_does_not_fit_says_what_and_where(text: str, named: str) -> None:
    assert named in str(bad(text))


def test_a_refusal_survives_pickling_and_carries_its_facts() -> None:
    for refusal in (Refused("call_failed", "it failed", {"job_id": "j"}), bad(said(type="nope", ref=7))):
        copy = pickle.loads(pickle.dumps(refusal))
        assert (type(copy), copy.code, str(copy), copy.facts) == (
            type(refusal), refusal.code, str(refusal), refusal.facts,
        )  # fmt: skip
    failed = Refused("call_failed", "it failed", {"job_id": "j"})
    assert json.loads(answers.error(failed, 3)) == {
        "type": "error", "ref": 3, "code": "call_failed", "message": "it failed", "job_id": "j"
    }  # fmt: skip


NAMES = st.sampled_from(
    ["type", "ref", "channel", "room", "job", "batch", "filter", "since", "token", "data", "module", "function", "args",
     "subscriptions", "model", "id", "userId", "epoch", "offset"]
) | st.text(max_size=5)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
MESSAGES = st.builds(
    lambda type, members: {"type": type} | members,
    st.sampled_from(TYPES) | JSON,
    st.dictionaries(NAMES, JSON, max_size=6),
)


def is_read_or_refused(text: str) -> bool:
    """With an answer that is JSON, whatever is the case."""
    try:
        message = read(text)
    except BadMessage as exc:
        answer = json.loads(answers.error(exc, exc.ref))
        assert answer["code"] == "bad_message"
        assert answer["message"]
    else:
        ref = getattr(message, "ref", None)
        assert json.loads(answers.Pong(ref).encoded()).get("ref") == ref
        ref_of(text)
    return True


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_text_does_anything_else_than_being_refused(text: str) -> None:
    assert is_read_or_refused(text)


@given(JSON | MESSAGES)
def test_no_json_does_anything_else_than_being_read_or_refused(value: Any) -> None:
    assert is_read_or_refused(json.dumps(value))


@given(MESSAGES, st.data())
def test_no_part_of_a_message_does_either(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value)
    begin = data.draw(st.integers(0, len(text)))
    assert is_read_or_refused(text[:begin])
    assert is_read_or_refused(text[begin:])
