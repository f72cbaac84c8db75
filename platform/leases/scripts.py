"""The scripts, called past kombu's prefixed client: that would put its prefix before a script's first argument."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import redis
from redis.exceptions import NoScriptError


@dataclass(frozen=True)
class Script:
    text: str

    @cached_property
    def sha(self) -> str:
        return hashlib.sha1(self.text.encode()).hexdigest()  # noqa: S324 - Redis names scripts so


SCRIPTS = {file.stem: Script(file.read_text()) for file in (Path(__file__).parent / "lua").glob("*.lua")}


def run(client: redis.Redis, script: str | Script, keys: Sequence[Any] = (), args: Sequence[Any] = ()) -> Any:
    """Run one of ours by name, or another; one round trip, two after the server has forgotten it.

    Keys carry their prefix already.
    """
    script = SCRIPTS[script] if isinstance(script, str) else script
    rest = [len(keys), *keys, *args]
    try:
        return redis.Redis.execute_command(client, "EVALSHA", script.sha, *rest)
    except NoScriptError:
        return redis.Redis.execute_command(client, "EVAL", script.text, *rest)
