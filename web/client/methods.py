"""Endpoints as methods: their signatures and docstrings, for ``help()`` and editors."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_args

SELF = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)


def describe(method: Callable[..., Any], endpoint: Callable[..., Any]) -> None:
    """Give a method that passes everything on to a generator the generator's description."""
    signature = inspect.signature(endpoint, eval_str=True)
    _, _, returned = get_args(signature.return_annotation)
    method.__name__ = endpoint.__name__
    method.__doc__ = endpoint.__doc__
    method.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[SELF, *signature.parameters.values()], return_annotation=returned
    )
