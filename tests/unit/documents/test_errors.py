from __future__ import annotations

import json
import pickle

import pytest

from platform.documents.errors import (
    BadPatch,
    ChangeRefused,
    DocumentExists,
    InvalidDocument,
    PatchConflict,
    UnknownDocument,
    UnknownModel,
    VersionConflict,
)
from platform.retries import is_permanent

REFUSALS = [
    (UnknownModel("nte", ["note", "task"]), 404, "there is no model 'nte'; did you mean 'note'?"),
    (UnknownModel("xyz"), 404, "there is no model 'xyz'; declare it as a class of tasks.models.Model"),
    (
        InvalidDocument("note", [{"loc": ["a", 0], "msg": "Field required"}]),
        422,
        "this is no note: a.0: Field required",
    ),
    (BadPatch(None, "it has no operation"), 422, "the patch: it has no operation"),
    (BadPatch(2, "it has no op"), 422, "operation 2 of the patch: it has no op"),
    (PatchConflict(0, "/n"), 409, "operation 0 of the patch, the test of /n, failed; read the document again"),
    (VersionConflict("note", "1", 2, 3), 409, "note '1' has version 3, not version 2; read it again"),
    (VersionConflict("note", "1", 2, 0), 409, "note '1' is not there, not version 2"),
    (DocumentExists("note", "1"), 409, "there is a note '1' already"),
    (UnknownDocument("note", "1"), 404, "there is no note '1'"),
]


@pytest.mark.parametrize(("error", "status", "says"), REFUSALS)
def test_a_refusal_says_what_is_wrong_and_is_never_retried(error: ChangeRefused, status: int, says: str) -> None:
    assert str(error).startswith(says)
    assert (error.status, is_permanent(error)) == (status, True)


@pytest.mark.parametrize("error", [error for error, *_ in REFUSALS])
def test_a_refusal_survives_pickling_and_its_facts_are_json(error: ChangeRefused) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
    assert json.loads(json.dumps(error.facts)).keys() == vars(error).keys()


def test_every_refusal_is_tried_here() -> None:
    assert {type(error) for error, *_ in REFUSALS} == set(ChangeRefused.__subclasses__())


def test_of_many_problems_the_first_five_are_told() -> None:
    error = InvalidDocument("note", [{"loc": [str(n)], "msg": "no"} for n in range(7)])
    assert str(error) == "this is no note: 0: no; 1: no; 2: no; 3: no; 4: no; and 2 more"
