"""What waits for its time is still there after everything was stopped, the record store included."""

from __future__ import annotations

from platform import embedded
from tests.integration.conftest import Shop


def test_delays_survive_a_restart_of_everything(shop: Shop) -> None:
    worker = shop.start_worker()
    ids = [shop.celery("jobs", "submit", "shop.add", "-a", "[1, 2]", "--countdown", s).stdout.strip() for s in "67"]
    embedded.stop(shop.folder / "d")
    worker.kill_group()
    embedded.ensure_running(shop.folder / "d")
    shop.start_worker()
    for job_id in ids:
        done = shop.celery("jobs", "wait", job_id, "--timeout", "20")
        assert (done.returncode, '"attempts": 1' in done.stdout) == (0, True)
