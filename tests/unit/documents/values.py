"""JSON values and documents for property tests: few names and few values, so that they meet."""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "c", "0", "1", "a/b", "~", ""])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([0.0, 1.0, 1.5, -2.0, 1e300, 2**53 + 1, -(2**70)]),
    st.sampled_from(["", "a", "A", "b", "é", "\U0001f600", "1", "true"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.lists(st.tuples(NAMES, inner), max_size=3).map(dict)),
    max_leaves=8,
)
DOCUMENTS = st.lists(st.tuples(NAMES, VALUES), max_size=4).map(dict)
