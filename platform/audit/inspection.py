"""What running workers answer over remote control: their pool, their limits, the tasks they know."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

TIMEOUT_S = 2.0


@dataclass
class Answer:
    """One worker's; what it did not answer in time is empty. ``workers``: how many answered by that name."""

    workers: int = 0
    stats: dict[str, Any] = field(default_factory=dict)
    tasks: set[str] = field(default_factory=set)
    conf: dict[str, Any] = field(default_factory=dict)


def ask(app: Any, workers: int) -> dict[str, Answer]:
    """Ask all workers at once; returns when as many have answered as are known, after two seconds at most."""
    questions: dict[str, dict[str, Any]] = {
        "stats": {},
        "registered": {"taskinfoitems": ["-"]},
        "conf": {"with_defaults": False},
    }
    with warnings.catch_warnings(), ThreadPoolExecutor(len(questions)) as pool:
        warnings.simplefilter("ignore")
        asked = {name: pool.submit(_broadcast, app, name, given, workers) for name, given in questions.items()}
        told = {name: future.result() for name, future in asked.items()}
    answers: dict[str, Answer] = {}
    for name, replies in told.items():
        for worker, reply in replies:
            _PUT[name](answers.setdefault(worker, Answer()), reply)
    return answers


def _broadcast(app: Any, command: str, arguments: dict[str, Any], workers: int) -> list[tuple[str, Any]]:
    replies = app.control.broadcast(command, arguments=arguments, reply=True, timeout=TIMEOUT_S, limit=workers) or []
    return [(worker, reply) for one in replies for worker, reply in one.items() if _is_answer(reply)]


def _is_answer(reply: Any) -> bool:
    return not (isinstance(reply, dict) and "error" in reply)


def _put_stats(answer: Answer, reply: Any) -> None:
    answer.stats = reply
    answer.workers += 1


def _put_tasks(answer: Answer, reply: Any) -> None:
    answer.tasks = {line.partition(" [")[0] for line in reply}


def _put_conf(answer: Answer, reply: Any) -> None:
    answer.conf = reply


_PUT: dict[str, Callable[[Answer, Any], None]] = {"stats": _put_stats, "registered": _put_tasks, "conf": _put_conf}
