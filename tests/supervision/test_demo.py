"""The demonstration, as ``make demo`` runs it: it works, it tells what is wrong, it leaves nothing."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from deploy.supervision import processes as machine
from tests import processes
from web.demo.acts import ACTS

pytestmark = [pytest.mark.supervision, pytest.mark.timeout(300)]
TIMEOUT_S = 240.0
COMMAND = (sys.executable, "-m", "web.demo")


@pytest.fixture
def temporary(data_dir: Path) -> Path:
    """Where the demonstration makes its DATA_DIR; all it starts has this path among its arguments or files."""
    return data_dir


@pytest.fixture
def demo(temporary: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``demo(folder, "--keep")``: run it to its end."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return processes.run(*COMMAND, *arguments, env=environment(temporary), timeout_s=TIMEOUT_S)

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A few files; the name has in it what settings, shells and terminals give a meaning."""
    made = tmp_path / "my, [red] files"
    (made / "sub folder").mkdir(parents=True)
    (made / "one.py").write_text("print('one')\n" * 3)
    (made / "sub folder" / "two.md").write_text("# two words\n")
    (made / "binary.bin").write_bytes(b"\0\1")
    return made


def environment(temporary: Path) -> dict[str, str]:
    """Also with a setting of the user's own platform, which is none of the demonstration's business."""
    return processes.environment() | {"TMPDIR": str(temporary), "PLATFORM_DATA_DIR": "/nowhere/of/mine"}


def left_in(temporary: Path) -> list[str]:
    """Programs whose surroundings name the folder: they were started by the demonstration and live on."""
    needle = f"PLATFORM_CONFIG={temporary}".encode()
    return [str(pid) for pid in machine.table() if needle in surroundings(pid)]


def surroundings(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # it has ended meanwhile
        return b""


def assert_nothing_is_left(temporary: Path) -> None:
    assert left_in(temporary) == []
    assert list(temporary.iterdir()) == []


def test_it_works_on_a_folder_and_leaves_nothing(demo, folder: Path, temporary: Path) -> None:
    done = demo(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert [act.TITLE for act in ACTS if f"✓ {act.TITLE}" not in done.stdout] == []
    assert f"What is in {folder}" in done.stdout
    assert "3, 53 B" in done.stdout
    assert "Python 3 lines" in done.stdout
    assert re.search(r"Jobs +3 .* ms", done.stdout), "the summary has a line for the jobs"
    assert re.search(r"API +http://\S+:\d+\n +Docs +http://\S+/docs\n +Flower +http://", done.stdout)
    assert_nothing_is_left(temporary)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("nowhere", "does not exist; name a folder"),
        ("file.txt", "is not a folder; name a folder"),
        ("empty", "there are no files in"),
    ],
)
def test_a_folder_that_will_not_do_is_told_in_one_sentence(
    demo, tmp_path: Path, temporary: Path, given: str, sentence: str
) -> None:
    (tmp_path / "file.txt").touch()
    (tmp_path / "empty").mkdir()
    done = demo(tmp_path / given)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"Error: .*{sentence}.*\n", done.stderr)
    assert_nothing_is_left(temporary)


def test_an_unknown_option_is_wrong_usage(demo) -> None:
    assert demo("--kepp").returncode == 2


def test_kept_it_goes_on_until_the_command_it_names(demo, folder: Path, temporary: Path) -> None:
    done = demo(folder, "--keep")
    stop = done.stdout.strip().splitlines()[-1]
    try:
        assert done.returncode == 0
        access = Path(re.findall(r"API key in (\S+)", done.stdout)[0])
        assert access.stat().st_mode & 0o077 == 0
        key = re.findall(r"API key +(\S+)", access.read_text())[0]
        url = re.findall(r"API +(http://\S+)", done.stdout)[0]
        answer = httpx2.get(f"{url}/jobs", headers={"Authorization": f"Bearer {key}"}, trust_env=False)
        assert answer.json()["total"] > 0
    finally:
        processes.succeed("/bin/sh", "-c", stop, env=environment(temporary), timeout_s=TIMEOUT_S)
    assert_nothing_is_left(temporary)


@pytest.mark.parametrize("moment", ["Starting the platform", "valkey", "Working on", "✓ Offload"])
def test_interrupted_it_stops_cleanly(folder: Path, tmp_path: Path, temporary: Path, moment: str) -> None:
    with processes.Program((*COMMAND, str(folder)), tmp_path / "demo.log", environment(temporary)) as running:
        running.wait_for(moment, TIMEOUT_S)
        running.signal(signal.SIGINT)
        # Python ends by the signal itself if that came while a text was executed, as an import of dataclasses does.
        assert running.wait(TIMEOUT_S) in (130, -signal.SIGINT)  # a shell says 130 of both
        assert running.text().endswith("Everything is stopped again.\nInterrupted.\n")
    assert_nothing_is_left(temporary)


def test_a_job_that_fails_ends_it_with_the_reason_and_the_logs(folder: Path, tmp_path: Path, temporary: Path) -> None:
    with processes.Program((*COMMAND, str(folder)), tmp_path / "demo.log", environment(temporary)) as running:
        running.wait_for("Working on", TIMEOUT_S)
        (folder / "one.py").unlink()
        assert running.wait(TIMEOUT_S) == 1
    assert re.search(r"\nError: .*one\.py", running.text())
    (logs,) = re.findall(r"Its logs are in (\S+)\n", running.text())
    assert (Path(logs) / "worker1.log").exists()
    assert left_in(temporary) == []
