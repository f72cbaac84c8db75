"""What is told of many jobs, also to another process."""

from __future__ import annotations

import pickle

import pytest

from platform.bulk.flight import NotARecord
from platform.bulk.ids import Ids
from platform.bulk.report import BulkFailed, Submitted
from platform.errors import PlatformError


@pytest.fixture
def submitted() -> Submitted:
    """Three jobs, the second with an id of its own."""
    made = Submitted("key")
    made.choose(1, "mine")
    made.grow(3)
    return made


def test_ids_come_in_order(submitted: Submitted) -> None:
    ids = Ids("key")
    assert list(submitted) == [submitted[0], submitted[1], submitted[-1]] == [ids[0], "mine", ids[2]]
    assert (len(submitted), "mine" in submitted, "other" in submitted) == (3, True, False)


@pytest.mark.parametrize("place", [3, -4])
def test_there_are_no_more_than_were_submitted(submitted: Submitted, place: int) -> None:
    with pytest.raises(IndexError, match="there are 3 jobs"):
        submitted[place]


@pytest.mark.parametrize("error", [BulkFailed("why", Submitted("k"), ("a",), ("b",), ("c", "d")), NotARecord("a")])
def test_an_error_survives_pickling(error: PlatformError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), repr(vars(copy))) == (type(error), str(error), repr(vars(error)))


def test_a_failure_counts_what_is_certain_and_what_is_in_doubt(submitted: Submitted) -> None:
    assert str(BulkFailed("it rained", submitted, ("a",))) == (
        "4 jobs were submitted, the others were not: it rained; submit the same items again with key='key'"
    )
    assert "4 jobs were submitted, of 2 it is not known" in str(BulkFailed("x", submitted, "a", "bc", "d"))
