"""The list of workers is as long as there are workers."""

from __future__ import annotations

import json

import pytest
import redis

from platform import registry, store
from platform.leases.scripts import run


def beat(name: str) -> None:
    prefix = store.key_prefix()
    keys = [f"{prefix}workers", f"{prefix}worker:{name}"]
    run(store.client(), registry.BEAT, keys=keys, args=[name, json.dumps({"name": name}), registry.TTL_S, prefix])


@pytest.mark.parametrize("name", ["a", "w*[1]@host", "wörker@host"])
def test_a_worker_whose_line_is_gone_is_neither_listed_nor_kept(embedded: redis.Redis, name: str) -> None:
    beat(name)
    beat("other")
    assert {worker["name"] for worker in registry.workers()} == {name, "other"}
    embedded.delete(f"{store.key_prefix()}worker:{name}")
    assert [worker["name"] for worker in registry.workers()] == ["other"]
    beat("other")
    assert embedded.smembers(f"{store.key_prefix()}workers") == {b"other"}
