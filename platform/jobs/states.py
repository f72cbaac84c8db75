"""The states of a job and the only ways between them; ``docs/jobs.md`` draws them.

``RETRYING`` and ``SCHEDULED`` wait for a time, ``PENDING`` waits for a worker. The last three are final:
no outcome leaves them, which is what makes a second completion harmless. An operator's replay of a dead letter makes a
failed job pending again (``platform.deadletters``).
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    PENDING = "pending"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


WAITING = frozenset({State.PENDING, State.SCHEDULED, State.RETRYING})
FINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})

# A redelivered job is running already when it starts again.
MAY_COME_FROM: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.RUNNING}),
    State.SCHEDULED: frozenset(),
    State.RUNNING: WAITING | {State.RUNNING},
    State.RETRYING: frozenset({State.RUNNING, State.RETRYING}),
    State.COMPLETED: frozenset({State.RUNNING}),
    State.FAILED: WAITING | {State.RUNNING},
    State.CANCELLED: WAITING | {State.RUNNING},
}
