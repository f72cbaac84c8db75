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


def run_many(client: redis.Redis, script: Script, calls: Sequence[tuple[Sequence[Any], Sequence[Any]]]) -> list[Any]:
    """``run`` of each pair of keys and arguments, in order, all in one round trip; what raised is raised after all ran.

    Another call of the same script by this client may come between any two of them.
    """
    answers = _sent(client, [("EVALSHA", script.sha, len(keys), *keys, *args) for keys, args in calls])
    again = [at for at, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
    if again:  # the first of them teaches the server the script
        texts = [("EVAL", script.text, len(calls[at][0]), *calls[at][0], *calls[at][1]) for at in again]
        for at, answer in zip(again, _sent(client, texts), strict=True):
            answers[at] = answer
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def _sent(client: redis.Redis, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        return pipe.execute(raise_on_error=False)
