"""``up --detach``: everything ready when it returns, or the reason why not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from deploy.supervision import record
from platform import embedded
from platform.migrations import HEAD
from tests.supervision.installation import Installation
from tests.waiting import eventually

pytestmark = pytest.mark.supervision


def test_everything_is_ready_when_it_returns_and_people_are_told_where(installation: Installation) -> None:
    done = installation.celery("up", "--detach")
    assert done.returncode == 0, done.stdout + done.stderr
    assert installation.runs()
    assert installation.does_work()
    for told in (installation.url, f"{installation.url}/docs", "flower_password", str(installation.place.logs)):
        assert told in done.stdout


def test_a_valkey_started_on_demand_is_taken_over_with_its_data(installation: Installation) -> None:
    data_dir = installation.place.data_dir
    started = installation.python(
        f"import tasks, pathlib, redis; from platform import embedded;"
        f"redis.Redis.from_url(embedded.ensure_running(pathlib.Path({str(data_dir)!r})).url).set('kept', 1)"
    )
    assert started.returncode == 0, started.stderr
    assert embedded.is_running(data_dir)
    assert installation.celery("up", "--detach").returncode == 0
    asked = installation.python(
        f"import tasks, pathlib, redis; from platform import embedded;"
        f"server = redis.Redis.from_url(embedded.endpoint(pathlib.Path({str(data_dir)!r})).url);"
        f"print(server.get('kept'), server.info('server')['process_id'])"
    )
    assert asked.stdout.split() == ["b'1'", str(installation.pid("valkey"))]


def test_the_schema_is_up_to_date_even_if_nobody_has_used_it_yet(installation: Installation) -> None:
    assert installation.celery("up", "--detach").returncode == 0
    with closing(sqlite3.connect(installation.place.data_dir / "platform.db")) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
        indexes = database.execute("SELECT name FROM sqlite_master WHERE name LIKE 'ix_documents_task_status_%'")
        assert len(indexes.fetchall()) == 1  # a model's indexes are else made when its first document is


def test_a_database_that_is_away_is_told_before_anything_starts(installation: Installation) -> None:
    done = installation.celery("up", "--detach", database_url="postgresql://ann:geheim@127.0.0.1:1/name")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: nothing was started: the database postgresql+psycopg://ann:***@127.0.0.1:1")
    assert record.load(installation.place) is None


def test_a_database_there_is_no_driver_for_is_wrong_usage(installation: Installation) -> None:
    done = installation.celery("up", "--detach", database_url="mysql://host/name")
    assert (done.returncode, "PLATFORM_DATABASE_URL: scheme 'mysql'" in done.stderr) == (2, True)
    assert record.load(installation.place) is None


# Found out only by the worker itself: what cannot be imported at all is refused before anything starts.
FAILS_IN_A_WORKER = "import sys\nif 'worker' in sys.argv:\n    raise RuntimeError('no such luck')\n"


def test_a_module_that_cannot_be_imported_is_refused_before_anything_starts(installation: Installation) -> None:
    (installation.folder / "naps.py").write_text("raise RuntimeError('no such luck')")
    done = installation.celery("up", "--detach")
    assert (done.returncode, done.stderr) == (1, "Error: nothing was started: RuntimeError: no such luck\n")
    assert record.load(installation.place) is None


def test_a_program_that_cannot_start_is_named_with_its_reason(installation: Installation) -> None:
    (installation.folder / "naps.py").write_text(FAILS_IN_A_WORKER)
    done = installation.celery("up", "--detach")
    assert done.returncode == 1
    assert "is not ready; its log ends with:" in done.stdout
    known = record.load(installation.place)
    assert known is not None, "what does run is left running"


def test_what_keeps_dying_is_tried_again_until_it_works(installation: Installation) -> None:
    works = (installation.folder / "naps.py").read_text()
    (installation.folder / "naps.py").write_text(FAILS_IN_A_WORKER)
    assert installation.celery("up", "--detach").returncode == 1
    (installation.folder / "naps.py").write_text(works)
    eventually(installation.runs, 90, poll_s=0.5)


def test_a_long_data_dir_with_unusual_characters_will_do(tmp_path: Path) -> None:
    """A socket's path is short, supervisord expands per cents and its shell splits at spaces and quotes."""
    data_dir = tmp_path / f"{'long' * 25} it's 100 % (ü)"
    installation = Installation(data_dir, tmp_path)
    try:
        assert installation.celery("up", "--detach").returncode == 0
        assert installation.runs()
        installation.collect()
        assert installation.services("stop").returncode == 0
        assert installation.left() == []
    finally:
        installation.close()


def test_a_broker_elsewhere_needs_no_valkey_here(installation: Installation, redis_url: str) -> None:
    installation.env |= {"PLATFORM_BROKER_URL": redis_url, "PLATFORM_REDIS_URL": redis_url}
    assert installation.celery("up", "--detach").returncode == 0
    assert sorted(installation.now()) == ["beat", "flower", "web", "worker1"]
    assert installation.does_work()
