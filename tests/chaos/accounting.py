"""What was accepted, what the records say and what really happened, compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from tests.chaos.deployment import Death, Deployment, Outage
from tests.chaos.effects import Run
from tests.chaos.report import report, spread

# A run that ended this long before its worker was killed must have been recorded and acknowledged, in seconds.
SETTLED_S = 1.0
# Of what is lost, so many are told by name.
MOST_TOLD = 10


@dataclass(frozen=True)
class Recovery:
    """How long after its worker's death a job began again, in seconds; and whether the broker was away in between."""

    took_s: float
    met_outage: bool


@dataclass
class Account:
    """``accepted`` are the ids answered 202, an id once for each answer."""

    accepted: Sequence[str]
    jobs: dict[str, dict]
    runs: dict[str, list[Run]]
    deaths: Sequence[Death]
    outages: Sequence[Outage]
    completions: int

    @classmethod
    def of(cls, deployment: Deployment, accepted: Iterable[str]) -> Account:
        return cls(
            list(accepted),
            deployment.jobs(),
            deployment.effects.runs(),
            list(deployment.deaths),
            deployment.outages,
            deployment.outcomes().get("completed", 0),
        )

    @classmethod
    def settled(cls, deployment: Deployment, accepted: Sequence[str], timeout_s: float) -> Account:
        """When all that was accepted is completed, or time is over; what is lost then is told by name."""
        deployment.settles(len(accepted), timeout_s)
        account = cls.of(deployment, accepted)
        for job_id in account.lost[:MOST_TOLD]:
            state = "unknown" if job_id in account.unknown else str(account.jobs[job_id])
            runs = ", ".join(map(str, account.runs.get(job_id, []))) or "never begun"
            report(f"lost {job_id}", state, runs, f"mentioned in {deployment.whereabouts(job_id)}")
        return account

    @cached_property
    def unknown(self) -> list[str]:
        """Accepted, and no record of it."""
        return [job_id for job_id in self.accepted if job_id not in self.jobs]

    @cached_property
    def unfinished(self) -> list[str]:
        """Recorded, and not completed."""
        return [i for i in self.accepted if i in self.jobs and self.jobs[i]["state"] != "completed"]

    @cached_property
    def without_effect(self) -> list[str]:
        return [i for i in self.accepted if not any(run.ended_at for run in self.runs.get(i, []))]

    @cached_property
    def repeated(self) -> list[str]:
        """Started more than once, for whatever reason."""
        return [job_id for job_id, runs in self.runs.items() if len(runs) > 1]

    @cached_property
    def repeated_without_cause(self) -> list[str]:
        """Started again though the worker of an earlier run was not killed under it."""
        return [i for i in self.repeated if not all(self._is_explained(run) for run in self.runs[i][:-1])]

    @cached_property
    def recoveries(self) -> list[Recovery]:
        """Of every run that its worker's death cut short, the quickest first."""
        found = []
        for runs in self.runs.values():
            for run, following in pairwise(runs):
                found += [self._recovery(death, following) for death in self._deaths_under(run)]
        return sorted(found, key=lambda recovery: recovery.took_s)

    @property
    def lost(self) -> list[str]:
        return [*self.unknown, *self.unfinished]

    def _recovery(self, death: Death, following: Run) -> Recovery:
        met_outage = any(outage.began < following.started_at and outage.ended > death.at for outage in self.outages)
        return Recovery(following.started_at - death.at, met_outage)

    def _is_explained(self, run: Run) -> bool:
        if run.ended_at is None or self._deaths_under(run):
            return bool(self._deaths_under(run))
        # It had ended, but nobody could be told before the worker was killed; also where the outage began just then.
        met = [o.ended for o in self.outages if o.began < run.ended_at + SETTLED_S and run.ended_at < o.ended]
        told_at = max([run.ended_at, *met]) + SETTLED_S
        return any(run.ended_at <= death.at < told_at for death in self._deaths_of(run.worker))

    def _deaths_under(self, run: Run) -> list[Death]:
        """Of its worker, before it had ended. A child may begin a job a moment after its main process was killed."""
        deaths = self._deaths_of(run.worker)
        if run.ended_at is None:
            return deaths
        return [death for death in deaths if run.started_at <= death.at < run.ended_at]

    def _deaths_of(self, worker: str) -> list[Death]:
        return [death for death in self.deaths if death.worker == worker and death.how != "term"]

    def summary(self) -> str:
        return (
            f"{len(self.accepted)} accepted, {len(self.lost)} lost, {self.completions - len(set(self.accepted))} "
            f"completed twice, {len(self.repeated)} run again for a killed worker, "
            f"{len(self.repeated_without_cause)} without cause"
        )

    def recovery(self) -> str:
        alone = [recovery.took_s for recovery in self.recoveries if not recovery.met_outage]
        with_outage = [recovery.took_s for recovery in self.recoveries if recovery.met_outage]
        return f"interrupted runs went on after {spread(alone)}, those that met an outage after {spread(with_outage)}"

    @property
    def slowest_recovery_s(self) -> float:
        """Where no outage came in between."""
        return max((recovery.took_s for recovery in self.recoveries if not recovery.met_outage), default=0)
