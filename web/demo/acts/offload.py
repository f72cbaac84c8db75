"""Provider operations: three resources made of the folder at the same time, one verified, one deleted."""

from __future__ import annotations

import time
from typing import Any

from web.client import Client, Job, NotFoundError
from web.demo.act import Outcome, Stage, completed, run_time_s, size
from web.demo.failure import DemoFailed

TITLE = "Offload"

KINDS = ("checksum", "statistics", "archive")
NAME = "demo"
POLL_S = 0.2


def play(stage: Stage) -> Outcome:
    began = time.monotonic()
    client, path = stage.client, str(stage.folder.path)
    jobs = _watched(stage, [client.resources.put("files", kind, NAME, {"path": path}) for kind in KINDS])
    stored = {kind: client.resources.get("files", kind, NAME).properties for kind in KINDS}
    check = _action(client, path, stored["checksum"]["sha256"])
    delete = _deleted(client)
    times_s = [run_time_s(job) for job in (*jobs, check, delete)]
    archive = f"archive of {size(stored['archive']['bytes'])}"
    return Outcome(
        headline=f"checksum, statistics and {archive} of {stored['checksum']['files']:,} files",
        count=len(times_s),
        took_s=time.monotonic() - began,
        times_s=times_s,
        notes=[
            f"PUT /resources/files/{{{','.join(KINDS)}}}/{NAME}: stored; sha256 {stored['checksum']['sha256'][:16]}…",
            f"POST …/checksum/{NAME}/verify: the folder is unchanged; DELETE …/archive/{NAME}: gone",
        ],
        found=_found(stage, stored),
    )


def _watched(stage: Stage, jobs: list[Job]) -> list[Job]:
    """The jobs once all have completed, their progress reports shown meanwhile."""
    while True:
        jobs = [job if job.is_final else stage.client.jobs.get(job.job_id) for job in jobs]
        shares = [1.0 if job.is_final else _share(job) for job in jobs]
        stage.report(sum(shares), len(shares), next((_message(job) for job in jobs if not job.is_final), ""))
        if all(job.is_final for job in jobs):
            return [completed(job, f"PUT /resources/files/{kind}") for kind, job in zip(KINDS, jobs, strict=True)]
        time.sleep(POLL_S)


def _share(job: Job) -> float:
    return job.progress.done / job.progress.total if job.progress and job.progress.total else 0.0


def _message(job: Job) -> str:
    return job.progress.message if job.progress else ""


def _action(client: Client, path: str, sha256: str) -> Job:
    job = client.resources.action("files", "checksum", NAME, "verify", {"path": path})
    job = completed(client.jobs.wait(job.job_id, timeout_s=120), "the action verify")
    if job.result["sha256"] != sha256:
        raise DemoFailed(f"{path} changed while the demonstration ran; name a folder nobody writes to")
    return job


def _deleted(client: Client) -> Job:
    job = client.resources.delete("files", "archive", NAME)
    job = completed(client.jobs.wait(job.job_id, timeout_s=60), "DELETE /resources/files/archive")
    try:
        client.resources.get("files", "archive", NAME)
    except NotFoundError:
        return job
    raise DemoFailed("a deleted resource is still there")


def _found(stage: Stage, stored: dict[str, Any]) -> list[tuple[str, str]]:
    statistics, archive = stored["statistics"], stored["archive"]
    packed = archive["bytes"] / max(1, statistics["bytes"])
    languages = [
        f"{name} {found['lines']:,} lines" if found["lines"] else f"{name} {found['files']:,} files"
        for name, found in statistics["languages"].items()
    ]
    largest = [f"{file.relative_to(stage.folder.path)} {size(bytes_)}" for file, bytes_ in stage.folder.largest(3)]
    return [
        (
            "files",
            f"{statistics['files']:,}, {size(statistics['bytes'])}; packed {size(archive['bytes'])} ({packed:.0%})",
        ),
        ("text", f"{statistics['lines']:,} lines, {statistics['words']:,} words"),
        ("languages", " · ".join(languages[:5])),
        ("largest", " · ".join(largest)),
    ]
