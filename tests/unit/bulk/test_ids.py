"""Ids made of a key and a place."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from platform.bulk.ids import MOST, Ids, new_key


@given(st.text(), st.integers(0, MOST - 1))
def test_an_id_is_a_uuid_and_always_the_same(key: str, place: int) -> None:
    made = Ids(key)[place]
    assert (str(uuid.UUID(made)), uuid.UUID(made).version, uuid.UUID(made).variant) == (made, 8, uuid.RFC_4122)
    assert Ids(key)[place] == made


@given(st.text(), st.integers(0, MOST - 2))
def test_ids_ascend_with_their_places(key: str, place: int) -> None:
    ids = Ids(key)
    assert ids[place] < ids[place + 1]


def test_two_keys_share_no_id() -> None:
    assert len({new_key() for _ in range(100)}) == 100
    assert len({Ids(f"{number}")[0] for number in range(10_000)}) == 10_000
