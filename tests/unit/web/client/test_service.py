from __future__ import annotations

import pytest

from tests.unit.web.client.conftest import Answer, Ask, Server


@pytest.mark.parametrize(("status", "says", "is_ready"), [(200, "ready", True), (503, "not ready", False)])
def test_ready_answers_either_way(server: Server, ask: Ask, status: int, says: str, is_ready: bool) -> None:
    server.answers(Answer(status, {"status": says, "checks": {"broker": "ok"}}, {"Retry-After": "2"}))
    assert ask("ready").is_ready is is_ready
    assert len(server.received) == 1, "'not ready' is the answer, nothing to repeat"


def test_status_is_what_the_server_says(server: Server, ask: Ask) -> None:
    server.answers(Answer(200, {"jobs": {"pending": 1}}))
    assert ask("status") == {"jobs": {"pending": 1}}
