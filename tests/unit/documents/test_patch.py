"""JSON Patch: RFC 6902's own examples, against jsonpatch itself, and the bounds that it does not have."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpointer import JsonPointerException

from platform.documents.errors import BadPatch, PatchConflict
from platform.documents.patch import MAX_OPERATIONS, applied, as_frames, normalised, pointer_to, segments
from tests.unit.documents.values import DOCUMENTS, NAMES, VALUES

ROOMY = 1_000_000
POINTERS = st.lists(NAMES, min_size=1, max_size=3).map(pointer_to)
OPERATIONS = st.one_of(
    st.fixed_dictionaries({"op": st.sampled_from(["add", "replace", "test"]), "path": POINTERS, "value": VALUES}),
    st.fixed_dictionaries({"op": st.just("remove"), "path": POINTERS}),
    st.fixed_dictionaries({"op": st.sampled_from(["move", "copy"]), "path": POINTERS, "from": POINTERS}),
)
PATCHES = st.lists(OPERATIONS, min_size=1, max_size=4)

# Appendix A of RFC 6902: document, patch, outcome (an exception's class where the patch must fail).
RFC_6902 = {
    "A1": ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
    "A2": (
        {"foo": ["bar", "baz"]},
        [{"op": "add", "path": "/foo/1", "value": "qux"}],
        {"foo": ["bar", "qux", "baz"]},
    ),
    "A3": ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
    "A4": ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
    "A5": (
        {"baz": "qux", "foo": "bar"},
        [{"op": "replace", "path": "/baz", "value": "boo"}],
        {"baz": "boo", "foo": "bar"},
    ),
    "A6": (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    "A7": (
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    "A8": (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    "A9": ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "bar"}], PatchConflict),
    "A10": (
        {"foo": "bar"},
        [{"op": "add", "path": "/child", "value": {"grandchild": {}}}],
        {"foo": "bar", "child": {"grandchild": {}}},
    ),
    "A11": (
        {"foo": "bar"},
        [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}],
        {"foo": "bar", "baz": "qux"},
    ),
    "A12": ({"foo": "bar"}, [{"op": "add", "path": "/baz/bat", "value": "qux"}], BadPatch),
    "A14": ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    "A15": ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": "10"}], PatchConflict),
    "A16": ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["a"]}], {"foo": ["bar", ["a"]]}),
}


def outcome(document: dict[str, Any], operations: list[dict[str, Any]]) -> str:
    """The bytes of the outcome, key order included, or the kind of refusal."""
    try:
        return json.dumps(applied(document, normalised(operations), ROOMY))
    except (BadPatch, PatchConflict) as exc:
        return type(exc).__name__


def expected(document: dict[str, Any], operations: list[dict[str, Any]]) -> str:
    try:
        return json.dumps(jsonpatch.apply_patch(document, operations))
    except jsonpatch.JsonPatchTestFailed:
        return "PatchConflict"
    except (jsonpatch.JsonPatchException, JsonPointerException, TypeError):
        return "BadPatch"


@pytest.mark.parametrize(("document", "operations", "after"), RFC_6902.values(), ids=RFC_6902.keys())
@pytest.mark.parametrize("is_list_form", [False, True])
def test_the_examples_of_the_rfc(
    document: dict[str, Any], operations: list[dict[str, Any]], after: Any, is_list_form: bool
) -> None:
    given_operations = as_frames(normalised(operations), []) if is_list_form else operations
    if isinstance(after, type):
        with pytest.raises(after):
            applied(document, normalised(given_operations), ROOMY)
    else:
        assert applied(document, normalised(given_operations), ROOMY) == after


@given(document=DOCUMENTS, operations=PATCHES)
def test_a_patch_does_what_jsonpatch_does(document: dict[str, Any], operations: list[dict[str, Any]]) -> None:
    assert outcome(document, operations) == expected(document, operations)


@given(document=DOCUMENTS, operations=PATCHES)
def test_nothing_that_is_given_changes(document: dict[str, Any], operations: list[dict[str, Any]]) -> None:
    before = copy.deepcopy((document, operations))
    outcome(document, operations)
    assert (document, operations) == before


@given(operations=PATCHES)
def test_the_list_form_is_the_pointer_form(operations: list[dict[str, Any]]) -> None:
    frames = as_frames(normalised(operations), ["app:x:model:note"])
    assert all(frame["metadata"] == {"channels": ["app:x:model:note"]} for frame in frames)
    assert normalised(frames) == normalised(operations)


@given(parts=st.lists(st.text(alphabet="ab/~01", max_size=4), max_size=4))
def test_segments_and_pointers_are_opposites(parts: list[str]) -> None:
    assert segments(pointer_to(parts)) == parts


def test_the_list_form_of_the_contract_is_understood() -> None:
    operation = {"op": "replace", "path": ["tags", 0], "value": ["completed"], "metadata": {"channels": []}}
    assert normalised([operation]) == [{"op": "replace", "path": "/tags/0", "value": "completed"}]


@pytest.mark.parametrize(
    ("operations", "says"),
    [
        ({}, "the patch: it must be a list"),
        ([], "the patch: it has no operation"),
        ([1], "operation 0 of the patch: it must be an object"),
        ([{"op": "test", "path": "", "value": {}}, {}], "operation 1 of the patch: it has no op"),
        ([{"op": "repalce", "path": "/a", "value": 1}], "no op 'repalce'; did you mean 'replace'"),
        ([{"op": ["add"], "path": "/a", "value": 1}], "there is no op"),
        ([{"op": "add", "value": 1}], "its path is missing"),
        ([{"op": "add", "path": 1, "value": 1}], "its path is neither"),
        ([{"op": "add", "path": [True], "value": [1]}], "its path is neither"),
        ([{"op": "add", "path": "a", "value": 1}], "its path 'a' is no JSON pointer"),
        ([{"op": "add", "path": "/~2", "value": 1}], "its path '/~2' is no JSON pointer"),
        ([{"op": "move", "path": "/a"}], "its from is missing"),
        ([{"op": "add", "path": "/a"}], "it has no value"),
        ([{"op": "add", "path": ["a"], "value": 1}], "the value is a list of exactly one"),
        ([{"op": "add", "path": ["a"], "value": [1, 2]}], "the value is a list of exactly one"),
        ([{"op": "add", "path": "/a", "value": object()}], "its value is not JSON"),
        ([{"op": "add", "path": "/a", "value": "\ud800"}], "its value is not JSON"),
        ([{"op": "add", "path": "/\ud800", "value": 1}], "its value is not JSON"),
        ([{"op": "replace", "path": "", "value": {}}], "would replace the whole document; name a field"),
        ([{"op": "copy", "from": "", "path": "/a"}], "would copy the whole document; name a field"),
        ([{"op": "replace", "path": "/version", "value": 1}], "version is kept by the platform"),
        ([{"op": "remove", "path": "/id"}], "id is kept by the platform"),
        ([{"op": "move", "from": "/userId", "path": "/a"}], "userId is kept by the platform"),
        ([{"op": "add", "path": "/appId/x", "value": 1}], "appId is kept by the platform"),
        ([{"op": "remove", "path": "/a"}] * (MAX_OPERATIONS + 1), "1001 operations; at most 1000"),
    ],
)
def test_a_patch_that_cannot_be_one_is_refused(operations: Any, says: str) -> None:
    with pytest.raises(BadPatch, match=says):
        normalised(operations)


def test_system_fields_may_be_tested_and_copied() -> None:
    operations = [{"op": "test", "path": "/version", "value": 3}, {"op": "copy", "from": "/version", "path": "/a"}]
    assert applied({"version": 3}, normalised(operations), ROOMY) == {"version": 3, "a": 3}


@pytest.mark.parametrize("path", ["/b", "/a/b", "/l/2", "/l/01", "/s/0"])
def test_a_path_to_nothing_is_refused_without_quoting_the_document(path: str) -> None:
    with pytest.raises(BadPatch, match=f"operation 0 of the patch: replace at {path} is not possible") as caught:
        applied({"a": 1, "l": [1], "s": "geheim"}, normalised([{"op": "replace", "path": path, "value": 1}]), ROOMY)
    assert "geheim" not in str(caught.value)


def test_copies_that_grow_beyond_the_limit_are_refused_before_they_are_made() -> None:
    doubling = [{"op": "add", "path": "/a", "value": ["x" * 10]}]
    doubling += [{"op": "copy", "from": "/a", "path": "/a/-"} for _ in range(40)]
    with pytest.raises(BadPatch, match="its copies are larger than the 10000 bytes") as caught:
        applied({}, normalised(doubling), 10_000)
    assert caught.value.index is not None
    assert caught.value.index < 12


def test_a_document_that_would_be_too_large_is_refused() -> None:
    with pytest.raises(BadPatch, match="would have 114 bytes of JSON; at most 100"):
        applied({}, normalised([{"op": "add", "path": "/abcd", "value": "x" * 103}]), 100)


def test_nesting_too_deep_is_refused_in_a_value_and_in_the_outcome() -> None:
    value: Any = 1
    for _ in range(33):
        value = [value]
    with pytest.raises(BadPatch, match="its value is nested more than 32 deep"):
        normalised([{"op": "add", "path": "/a", "value": value}])
    deeper = [{"op": "add", "path": "/a", "value": {}}, *[{"op": "copy", "from": "/a", "path": "/a/b"}] * 40]
    with pytest.raises(BadPatch, match="would be nested more than 32 deep"):
        applied({}, normalised(deeper), ROOMY)
