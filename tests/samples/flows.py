"""A user's module with stages, which write down, in files, what they got.

What a stage does with a change is told by the change itself: ``notes`` before it is stored, the field ``how`` behind.
"""

import json
import os
import signal
import time

from msgspec import structs

from tasks import RetryLater
from tasks.models import Model
from tasks.pipeline import stage

FOLDER = os.environ.get("FLOWS", ".")


class Note(Model):
    title: str = ""
    how: str = ""
    n: int = 0


def note(name, **facts):
    with open(os.path.join(FOLDER, name), "a") as file:
        file.write(json.dumps({"pid": os.getpid(), "at": time.time(), **facts}) + "\n")


def hold(gate):
    deadline = time.monotonic() + 60
    while gate and not os.path.exists(os.path.join(FOLDER, gate)) and time.monotonic() < deadline:
        time.sleep(0.01)


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    time.sleep(30)


@stage("enrich", before="write")
def enrich(change):
    """Do to a new note what its title says; let all others pass."""
    if change.type != "note" or not change.data:
        return change
    title = change.data["title"]
    if title == "drop":
        return None
    if title == "two":
        return [change, change]
    if title == "other":
        return structs.replace(change, data=change.data | {"title": "changed"})
    return change


@stage("sift", before="write", batch=20)
def sift(changes):
    """Do what each change's notes say; drop what has none, let the rest pass."""
    note("sift", ids=[change.change_id for change in changes])
    for change in changes:
        hold(change.notes.get("gate"))
    for change in changes:
        if change.notes.get("kill"):
            kill(os.getpid())
        if change.notes.get("kill worker") and not os.path.exists(os.path.join(FOLDER, "killed")):
            open(os.path.join(FOLDER, "killed"), "w").close()
            kill(os.getppid())
        if change.notes.get("raise"):
            raise ValueError(f"no good: {change.change_id}")
    return [answer(change) for change in changes]


def answer(change):
    note("done", id=change.change_id)
    if change.notes.get("error"):
        return KeyError(change.notes["error"])
    time.sleep(change.notes.get("sleep", 0))
    return None if change.notes.get("drop", True) else change


@stage("email", after="write")
def email(committed):
    note("email", change=committed.change_id, version=committed.version)
    if committed.document["how"] == "kill email":
        kill(os.getpid())
    if committed.document["how"] == "email later" and not os.path.exists(os.path.join(FOLDER, "cured")):
        raise RetryLater(0.1, "not yet")


@stage("log", after="email")
def log(committed):
    raise AssertionError("email passes nothing on")


@stage("index", after="write", batch=10)
def index(several):
    note("index", ids=[one.change_id for one in several])
    return [ValueError("no words") if one.document["how"] == "no index" else None for one in several]
