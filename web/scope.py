"""What a socket token allows of what its account may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True)
class Scope:
    """A narrowing: it never allows what the account's role or tenant does not. None allows every name, () none.

    ``filters`` are documents' filters by model, on top of the client's own. A pattern of ``rooms`` and of ``calls``
    (``Module/function``) that ends in ``*`` stands for every name that begins so. Publishing needs the room as well.
    """

    EVERYTHING: ClassVar[Scope]

    models: tuple[str, ...] | None = None
    filters: Mapping[str, dict[str, Any]] = field(default_factory=dict, hash=False)
    rooms: tuple[str, ...] | None = None
    publish: bool = True
    calls: tuple[str, ...] | None = None
    jobs: bool = True

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Scope:
        """The opposite of ``as_dict``. Raises TypeError for a member that this release does not know."""
        listed = {name: tuple(value) for name, value in {**said}.items() if isinstance(value, list)}
        return cls(**{**said, **listed})

    def as_dict(self) -> dict[str, Any]:
        """As it travels in a token: what it narrows, and nothing else."""
        return {name: value for name, value in asdict(self).items() if value != getattr(Scope.EVERYTHING, name)}

    @property
    def allows_publish(self) -> bool:
        return self.publish

    @property
    def allows_jobs(self) -> bool:
        """Whether jobs and batches may be followed."""
        return self.jobs

    def allows_model(self, type: str) -> bool:
        return self.models is None or type in self.models

    def filter_for(self, type: str) -> dict[str, Any] | None:
        """What documents of an allowed model must match besides; None for nothing."""
        return self.filters.get(type)

    def allows_room(self, name: str) -> bool:
        return _is_among(name, self.rooms)

    def allows_call(self, module: str, function: str) -> bool:
        return _is_among(f"{module}/{function}", self.calls)


Scope.EVERYTHING = Scope()


def _is_among(name: str, patterns: tuple[str, ...] | None) -> bool:
    return patterns is None or any(_fits(name, pattern) for pattern in patterns)


def _fits(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
