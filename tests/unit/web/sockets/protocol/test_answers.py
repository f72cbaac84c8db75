"""The schema of what is said on a socket, as the documentation has it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs

from web.sockets.protocol import answers
from web.sockets.protocol.messages import Refused

FILE = Path(__file__).resolve().parents[5] / "docs" / "sockets.schema.json"
#: To write the file anew after a change of the protocol.
COMMAND = "python -c 'import web.sockets.protocol.answers as a, json; print(json.dumps(a.schema(), indent=1))'"


def test_the_documented_schema_is_that_of_the_code() -> None:
    assert json.loads(FILE.read_text()) == answers.schema(), f"write {FILE.name} anew: {COMMAND}"


def test_answers_are_as_the_schema_says() -> None:
    validator = jsonschema_rs.Draft202012Validator(answers.schema())
    said = [
        answers.Subscribed("app:a:model:task", "e", 3, False, 1).encoded(),
        answers.Pong().encoded(),
        answers.Reply(None, "job", "x").encoded(),
        answers.error(Refused("call_failed", "no", {"job_id": "j"}), 5),
    ]
    for text in said:
        validator.validate(json.loads(text))
    assert json.loads(said[2]) == {"type": "reply", "ref": "x", "result": None, "job_id": "job"}
    assert not validator.is_valid({"type": "subscribed"})
