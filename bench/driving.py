"""The other end of ``bench.systems.driver``, and freezing the workers while jobs are handed over."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.measures import BenchmarkFailed
from tests.processes import Program

ANSWER_TIMEOUT_S = 120


class Driver:
    """One driver process; ``watched`` are the programs without which it would wait in vain."""

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str], watched: Sequence[Program]):
        self._log = log
        self._watched = watched
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=dict(env),
                cwd=log.parent,
                start_new_session=True,  # Ctrl-C ends it through us, without a traceback of its own
            )
        self.versions: dict[str, str] = self._answer()

    def ask(self, what: str, jobs: int) -> dict[str, Any]:
        """Raises BenchmarkFailed when the driver, or a program it needs, ends before the answer."""
        self.tell(what, jobs)
        return self._answer()

    def tell(self, what: str, jobs: int) -> None:
        """Ask without waiting for the answer; ``hear`` it later."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, "jobs": jobs}).encode() + b"\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while not select.select([self._process.stdout], [], [], 0.5)[0]:
            ended = [program for program in self._watched if not program.is_alive]
            if ended or time.monotonic() > deadline:
                raise BenchmarkFailed(self._why(ended))
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkFailed(self._why([]))
        return json.loads(line)

    def _why(self, ended: Sequence[Program]) -> str:
        log = ended[0].log if ended else self._log
        what = "ended" if ended else "said nothing more"
        return f"a program {what}; its log ends with:\n{log.read_text(errors='replace')[-2000:]}"

    def __enter__(self) -> Driver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


@contextmanager
def frozen(program: Program) -> Iterator[None]:
    """Stop every process of the program where it is; let them go on afterwards, whatever happens."""
    os.killpg(program.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGCONT)
