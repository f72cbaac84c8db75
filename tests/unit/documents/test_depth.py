from __future__ import annotations

from typing import Any

import pytest

from platform.documents.depth import is_deeper


def nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize("levels", [0, 1, 2, 5])
def test_lists_and_objects_are_counted(levels: int) -> None:
    assert is_deeper(nested(levels), levels) is False
    assert is_deeper([1, nested(levels)], levels) is True


def test_nesting_beyond_any_recursion_is_answered_as_well() -> None:
    assert is_deeper(nested(50_000), 32) is True
