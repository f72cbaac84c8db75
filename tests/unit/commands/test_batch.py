"""``celery -A platform batch new``: a worker and a test of it, in the current folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tasks.commands.batch import batch
from tests import processes


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def new(name: str) -> Result:
    return CliRunner().invoke(batch, ["new", name])


def test_the_written_test_passes_and_the_worker_says_what_it_does(tmp_path: Path) -> None:
    done = new("night_mail")
    assert (done.exit_code, done.stdout.splitlines()[:2]) == (0, ["wrote night_mail.py", "wrote test_night_mail.py"])
    env = processes.environment({"data_dir": tmp_path / "d"})
    said = processes.succeed(processes.script("pytest"), "-q", cwd=tmp_path, env=env)
    assert "2 passed" in said
    shown = processes.succeed(processes.SCRIPTS / "python", "-m", "night_mail", "--help", cwd=tmp_path, env=env)
    assert "Takes what waits" in shown
    assert "--health-port" in shown


@pytest.mark.parametrize("taken", ["mailer.py", "test_mailer.py"])
def test_nothing_is_overwritten(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("mine")
    done = new("mailer")
    assert (done.exit_code, (tmp_path / taken).read_text()) == (1, "mine")
    assert f"{taken} exists" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [taken]


@pytest.mark.parametrize("name", ["Mailer", "1st", "a-b", "../x", "", "class", "queue", "tasks", "a" * 60])
def test_a_name_that_is_none_for_a_module_is_refused(tmp_path: Path, name: str) -> None:
    done = new(name)
    assert (done.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert done.stderr.startswith("Error: ")
