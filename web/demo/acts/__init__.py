"""The acts, in the order in which they are played; to add one, write its module and name it here."""

from __future__ import annotations

from web.demo.act import Act
from web.demo.acts import batches, documents, functions, jobs, live, mistakes, offload, schedule, service, sessions

ACTS: tuple[Act, ...] = (offload, functions, jobs, batches, documents, live, schedule, sessions, mistakes, service)
