"""How deep JSON is nested."""

from __future__ import annotations

from typing import Any

#: Deepest nesting of lists and objects in a document, the document itself counted.
MAX_DEPTH = 32


def is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects stand more than ``levels`` deep in each other; whatever comes, it does not recurse."""
    nodes = [value]
    for _ in range(levels + 1):
        nodes = [node for node in nodes if isinstance(node, dict | list)]
        if not nodes:
            return False
        nodes = [child for node in nodes for child in (node.values() if isinstance(node, dict) else node)]
    return True
