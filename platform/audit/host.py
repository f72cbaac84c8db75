"""This machine: its folder, its disk, its limits, and what is installed."""

from __future__ import annotations

import os
import resource
import shutil
import stat
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from packaging.version import Version

from platform.audit.finding import Finding, error, note, warning
from platform.audit.subject import Subject
from platform.settings import CONFIG_FILE_VARIABLE, is_secret

GIB = 1024**3
LITTLE_DISK, HARDLY_ANY_DISK = 2 * GIB, GIB // 4
#: What gunicorn's workers may hold open each (``web/gunicorn.conf.py``), and what a worker process needs at least.
WEB_CONNECTIONS, FEW_FILES = 10_000, 512
NETWORK_FILESYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "glusterfs", "ceph", "lustre"}
MEMORY_FILESYSTEMS = {"tmpfs", "ramfs"}
MOUNTS = Path("/proc/self/mounts")
#: The channel overrides methods of this kombu (``platform.leases.channel``).
KOMBU, CELERY = "5.7", "5.7"
OTHERS = stat.S_IRWXG | stat.S_IRWXO
BUSY_FACTOR = 8


def data_dir(subject: Subject) -> Iterator[Finding]:
    folder = subject.config.data_dir
    if not os.access(folder, os.W_OK | os.X_OK):
        yield error(
            "data-dir-not-writable",
            f"PLATFORM_DATA_DIR {folder} cannot be written by this user",
            "the embedded Valkey, SQLite and beat cannot keep anything",
            f"sudo chown -R $USER {folder}, or another PLATFORM_DATA_DIR",
        )
        return
    status = folder.stat()
    if status.st_mode & OTHERS:
        yield warning(
            "data-dir-open",
            f"other users of this machine may look into PLATFORM_DATA_DIR {folder}",
            "it holds jobs with their arguments, the user database and logs",
            f"chmod 700 {folder}",
        )
    if status.st_uid != os.geteuid():
        yield warning(
            "data-dir-of-another-user",
            f"PLATFORM_DATA_DIR {folder} belongs to user {status.st_uid}, this is user {os.geteuid()}",
            "files made by one cannot be read by the other: some of the platform's programs will not start",
            "run everything as one user, the owner of that folder",
        )


def secret_files(subject: Subject) -> Iterator[Finding]:
    kept = [subject.config.data_dir / "secrets", subject.config.data_dir / "valkey" / "endpoint.json"]
    files = [file for place in kept for file in (place.iterdir() if place.is_dir() else [place]) if file.is_file()]
    for file in files:
        if file.stat().st_mode & OTHERS:
            yield error(
                "secret-readable",
                f"other users of this machine may read {file}",
                "with it they sign in as anybody, or read and submit every job",
                f"chmod 600 {file}, then delete it so that a new one is made, if anybody may have read it",
            )
    named = os.environ.get(CONFIG_FILE_VARIABLE)
    if named and Path(named).exists() and Path(named).stat().st_mode & OTHERS and _holds_secrets(subject, named):
        yield warning(
            "settings-file-readable",
            f"other users of this machine may read {named}, which holds secrets",
            "with the signing key they sign in as anybody",
            f"chmod 600 {named}",
        )


def _holds_secrets(subject: Subject, file: str) -> bool:
    fields = type(subject.config).model_fields
    return any(origin == file and is_secret(name, fields[name]) for name, origin in subject.origins.items())


def disk(subject: Subject) -> Iterator[Finding]:
    free = shutil.disk_usage(subject.config.data_dir).free
    if free < LITTLE_DISK:
        severe = error if free < HARDLY_ANY_DISK else warning
        yield severe(
            "disk-nearly-full",
            f"{free / GIB:.1f} GiB are free where PLATFORM_DATA_DIR is",
            "when it is full the embedded Valkey refuses every write: nothing is accepted any more",
            "free space, or move PLATFORM_DATA_DIR",
        )


def filesystem(subject: Subject) -> Iterator[Finding]:
    kind = filesystem_of(subject.config.data_dir)
    if kind in NETWORK_FILESYSTEMS:
        yield warning(
            "data-dir-on-the-network",
            f"PLATFORM_DATA_DIR is on a network file system ({kind})",
            "locks are not reliable there: two servers may write one file and ruin it, and SQLite breaks",
            "put PLATFORM_DATA_DIR on a local disk",
        )
    if kind in MEMORY_FILESYSTEMS:
        severe = warning if subject.config.is_production else note
        yield severe(
            "data-dir-in-memory",
            f"PLATFORM_DATA_DIR is in memory ({kind})",
            "everything in it is gone when the machine restarts",
            "put PLATFORM_DATA_DIR on a disk",
        )


def filesystem_of(folder: Path, mounts: Path | None = None) -> str:
    """The type of the file system a folder is on, as the system names it; empty where it does not tell."""
    mounts = mounts or MOUNTS
    if not mounts.exists():
        return ""
    found = [line.split()[1:3] for line in mounts.read_text().splitlines() if len(line.split()) > 2]
    above = [(Path(place.replace("\\040", " ")), kind) for place, kind in found]
    holding = [(len(place.parts), kind) for place, kind in above if folder.resolve().is_relative_to(place)]
    # Of two on one place the later one is seen.
    return max(enumerate(holding), key=lambda one: (one[1][0], one[0]))[1][1] if holding else ""


def limits(subject: Subject) -> Iterator[Finding]:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = most == resource.RLIM_INFINITY
    if not unlimited and most < FEW_FILES:
        yield warning(
            "few-open-files",
            f"a process may open {most} files",
            "workers and web processes fail with 'Too many open files' under a small load",
            "ulimit -n 20000, or LimitNOFILE=20000 in the systemd unit",
        )
    elif not unlimited and most <= WEB_CONNECTIONS:
        severe = warning if subject.config.is_production else note
        yield severe(
            "few-open-files",
            f"a process may open {most} files, and a web worker accepts {WEB_CONNECTIONS} connections",
            "the connections above that limit fail",
            "ulimit -n 20000, or LimitNOFILE=20000 in the systemd unit",
        )


def user(subject: Subject) -> Iterator[Finding]:
    if os.geteuid() == 0:
        severe = warning if subject.config.is_production else note
        yield severe(
            "root",
            "this runs as root",
            "so do workers started this way: an error in a task, or a stranger in one, may do anything here",
            "make a user for it, the owner of PLATFORM_DATA_DIR",
        )


def processes(subject: Subject) -> Iterator[Finding]:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = subject.config.workers * (subject.config.worker_concurrency or cpus)
    if wanted > BUSY_FACTOR * cpus:
        yield warning(
            "many-processes",
            f"PLATFORM_WORKERS × PLATFORM_WORKER_CONCURRENCY is {wanted} processes for {cpus} CPUs",
            "each takes some 80 MB, and heartbeats that wait for a CPU look like death to other workers",
            f"at most {BUSY_FACTOR} for each CPU; more machines for more jobs at a time",
        )


def installed(subject: Subject) -> Iterator[Finding]:
    yield from of_versions({name: version(name) for name in ("celery", "kombu")})


def of_versions(found: dict[str, str]) -> Iterator[Finding]:
    wanted = {"celery": CELERY, "kombu": KOMBU}
    for name, series in wanted.items():
        if Version(found[name]).release[:2] != Version(series).release:
            yield error(
                "library-of-another-series",
                f"{name} {found[name]} is installed",
                f"leases replace methods of {name} {series}: with another one jobs may be lost or never taken",
                f"pip install '{name}~={series}.0'",
            )


CHECKS = (
    *(data_dir, secret_files, disk, filesystem, limits),
    *(user, processes, installed),
)
