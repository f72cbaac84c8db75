"""Every command that shows or changes something tells it to scripts too."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from deploy.commands import services
from tasks.commands.batch import batch
from tasks.commands.batches import batches
from tasks.commands.config import config
from tasks.commands.dlq import dlq
from tasks.commands.doctor import doctor
from tasks.commands.jobs import jobs
from tasks.commands.keys import keys
from tasks.commands.pipeline import pipeline
from tasks.commands.queues import queues
from tasks.commands.schedules import schedules
from tasks.commands.users import users

GROUPS = (batch, batches, config, dlq, jobs, keys, pipeline, queues, schedules, services, users)
WRITE_FILES = {"batch new", "config generate"}


def every_command() -> Iterator[tuple[str, click.Command]]:
    yield "doctor", doctor
    for group in GROUPS:
        for name, command in group.commands.items():
            yield f"{group.name} {name}", command


@pytest.mark.parametrize(("name", "command"), [pytest.param(*one, id=one[0]) for one in every_command()])
def test_a_command_takes_json_unless_it_writes_files(name: str, command: click.Command) -> None:
    options = {option for parameter in command.params for option in parameter.opts}
    assert ("--json" in options) is (name not in WRITE_FILES)
