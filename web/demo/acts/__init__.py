"""The acts, in the order in which they are played; to add one, write its module and name it here."""

from __future__ import annotations

from web.demo.act import Act
from web.demo.acts import (
    batches,
    documents,
    functions,
    jobs,
    later,
    live,
    mistakes,
    offload,
    schedules,
    service,
    sessions,
)

ACTS: tuple[Act, ...] = (
    *(offload, functions, jobs, batches, documents, live),
    *(later, schedules, sessions, mistakes, service),
)
