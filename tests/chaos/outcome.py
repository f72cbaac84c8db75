"""What was asked of the pipeline and what became of it, compared: jobs, versions, events, database and HTTP."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import create_engine, make_url, select

from platform import serialization
from platform.documents.change import SYSTEM_FIELDS
from platform.documents.errors import BadPatch, PatchConflict
from platform.documents.patch import applied
from platform.documents.tables import documents
from tests.chaos.authors import MODEL, Asked
from tests.chaos.deployment import Deployment
from tests.chaos.following import Frame, Reader, Versions, frames_of, histories_of, is_resync

REFUSALS = {"PatchConflict", "VersionConflict", "BadPatch"}
#: Documents whose own channels are read.
OWN_CHANNELS = 25
MOST_BYTES = 1_000_000


@dataclass
class Outcome:
    """``jobs`` are all there are, also those of routing and delivery; ``versions`` what a reader made of its frames."""

    asked: Sequence[Asked]
    jobs: dict[str, dict[str, Any]]
    versions: Versions
    counts: dict[str, int]

    @property
    def completed(self) -> list[Asked]:
        return [one for one in self.asked if self.jobs[one.job_id]["state"] == "completed"]

    @property
    def refused(self) -> list[Asked]:
        return [one for one in self.asked if self.jobs[one.job_id]["state"] == "failed"]

    @property
    def begun_again(self) -> int:
        return sum(self.jobs[one.job_id]["attempts"] > 1 for one in self.asked)

    def error(self, one: Asked) -> str:
        """The type of what refused it."""
        return str(self.jobs[one.job_id]["error"]["type"])

    def summary(self) -> list[str]:
        refusals = ", ".join(f"{number} {what}" for what, number in Counter(map(self.error, self.refused)).items())
        told = {what: self.counts.get(what, 0) for what in ("appended", "released", "dropped", "resyncs")}
        return [
            f"{len(self.completed)} completed, {len(self.refused)} refused ({refusals}), "
            f"{self.begun_again} begun more than once",
            f"{len(self.versions)} documents, the longest line {max(map(len, self.versions.values()))} versions",
            "{appended} told, of which {released} had come too early, {dropped} came again, {resyncs} resyncs".format(
                **told
            ),
        ]


def assert_ended_as_expected(outcome: Outcome) -> None:
    """Every change's job ended, completed or refused, as it had to; and nobody refused anything without a reason."""
    jobs, own_jobs = outcome.jobs, {one.job_id for one in outcome.asked}
    assert len(own_jobs) == len(outcome.asked) == len(outcome.completed) + len(outcome.refused)
    # Routing and delivery refuse nothing.
    assert {job["state"] for job_id, job in jobs.items() if job_id not in own_jobs} == {"completed"}
    assert {outcome.error(one) for one in outcome.refused} <= REFUSALS
    wrong = [one for one in outcome.completed if one.expected == "refused"]
    wrong += [one for one in outcome.refused if one.expected == "completed"]
    assert [(one, jobs[one.job_id]) for one in wrong] == []
    for one in outcome.refused:
        reasons = {_refusal_of(one, document) for document in outcome.versions[one.document_id]}
        assert outcome.error(one) in reasons, one


def _refusal_of(asked: Asked, document: dict[str, Any]) -> str | None:
    """What would be said of the change if that were the document."""
    if asked.if_version not in (0, document["version"]):
        return "VersionConflict"
    try:
        applied(document, asked.operations or [], MOST_BYTES)
    except (BadPatch, PatchConflict) as exc:
        return type(exc).__name__
    return None


def assert_each_made_one_version(outcome: Outcome) -> None:
    """The completed changes are the documents' versions, one each, and made of the version before what was asked."""
    made: dict[str, list[int]] = defaultdict(list)
    for one in outcome.completed:
        result, line = outcome.jobs[one.job_id]["result"], outcome.versions[one.document_id]
        version = result["version"]
        assert (result["id"], result["type"]) == (one.document_id, MODEL)
        made[one.document_id].append(version)
        if one.operations is None:
            assert version == 1
        else:
            assert one.if_version in (0, version - 1)
            assert _own(line[version - 1]) == _own(applied(line[version - 2], one.operations, MOST_BYTES)), one
    told = {id: [document["version"] for document in line] for id, line in outcome.versions.items()}
    assert {id: sorted(versions) for id, versions in made.items()} == told


def _own(document: dict[str, Any]) -> bytes:
    fields = {name: value for name, value in document.items() if name not in SYSTEM_FIELDS}
    return serialization.canonical(fields)


def assert_stored(outcome: Outcome, deployment: Deployment) -> None:
    """The events applied to the first document give what the database holds and what HTTP answers, byte for byte."""
    followed = {id: line[-1] for id, line in outcome.versions.items()}
    address = str(deployment.settings["database_url"]).replace("postgresql:", "postgresql+psycopg:", 1)
    engine = create_engine(make_url(address))
    with engine.connect() as connection:
        stored = dict(connection.execute(select(documents.c.id, documents.c.document)).all())
    engine.dispose()
    assert stored == {id: serialization.encode(document).decode() for id, document in followed.items()}
    with deployment.caller() as caller:
        for id, document in followed.items():
            answer = caller.get(f"/model/{MODEL}/{id}")
            assert answer.status_code == 200, answer.text
            assert serialization.canonical(answer.json()) == serialization.canonical(document)


def assert_told_on_every_channel(outcome: Outcome, deployment: Deployment, readers: Sequence[Reader]) -> None:
    """``readers`` of the model's channel, a user's and a document's, in this order, were told without resyncs. Who
    comes late is told the same, and a narrow channel tells its part of the wide one."""
    histories, (model, user, document) = histories_of(deployment), readers
    assert [frame for frame in model.frames if is_resync(frame)] == []
    assert outcome.counts.get("resyncs", 0) == 0
    for reader in readers:
        assert frames_of(histories, reader.channel) == reader.frames
    owner = user.channel.split(":")[3]
    owned = {id for id, line in outcome.versions.items() if line[0]["userId"] == owner}
    assert owned
    assert _bare(user.frames) == [frame for frame in _bare(model.frames) if frame["id"] in owned]
    assert document.frames
    for id in [document.frames[0]["id"], *[*outcome.versions][:OWN_CHANNELS]]:
        frames = frames_of(histories, f"{model.channel}:{id}")
        assert _bare(frames) == [frame for frame in _bare(model.frames) if frame["id"] == id]


def _bare(frames: Sequence[Frame]) -> list[Frame]:
    return [{name: value for name, value in frame.items() if name != "channel"} for frame in frames]
