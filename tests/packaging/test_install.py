"""A wheel and an editable install are complete: everything works from a folder that knows nothing of us."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.packaging.conftest import Installed
from tests.processes import ROOT

pytestmark = pytest.mark.packaging
PACKAGES = ["platform", "tasks", "web", "deploy"]


def shipped(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def files_to_ship() -> set[str]:
    """What git has, or would take, of our packages."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *PACKAGES]
    files = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return {name for name in files if name and (ROOT / name).exists()}


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    """Scripts, templates, pages and configuration files too, not only modules."""
    assert files_to_ship() - shipped(wheel) == set()


def test_the_wheel_holds_the_configuration_celery_reads(wheel: Path) -> None:
    assert "celeryconfig.py" in shipped(wheel)


def test_the_wheel_holds_gunicorns_configuration(wheel: Path) -> None:
    assert "web/gunicorn.conf.py" in shipped(wheel)


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    assert {name.partition("/")[0] for name in shipped(wheel)} == {*PACKAGES, "celeryconfig.py"}


@pytest.mark.parametrize("module", ["tasks", "web", "deploy", "celeryconfig"])
def test_our_modules_come_from_the_installation(installed: Installed, module: str) -> None:
    found = installed.python("-c", f"import tasks, {module}; print({module}.__file__)")
    assert Path(found).is_relative_to(installed.site)


def test_platform_is_completed_from_the_installation(installed: Installed) -> None:
    found = installed.python("-c", "import tasks, platform.celery; print(platform.celery.__file__)")
    assert Path(found) == installed.site / "platform" / "celery.py"


def test_platform_is_the_standard_librarys_for_everybody_else(installed: Installed) -> None:
    shown = installed.python("-c", "import platform; print(platform.system(), hasattr(platform, '__path__'))")
    assert shown == "Linux False"


def test_the_app_is_imported(installed: Installed) -> None:
    assert installed.python("-c", "from tasks import app; print(app.main)") == "platform"


@pytest.mark.parametrize("as_module", [False, True], ids=["script", "module"])
def test_celery_finds_the_app(installed: Installed, as_module: bool) -> None:
    celery = [installed.script("python"), "-m", "celery"] if as_module else [installed.script("celery")]
    assert "results:platform.results:JobBackend" in installed.run(*celery, "-A", "platform", "report")


def test_every_command_is_loaded_from_the_installation(installed: Installed) -> None:
    code = (
        "from importlib.metadata import distribution\n"
        "for point in distribution('celery-platform').entry_points.select(group='celery.commands'):\n"
        "    print(point.name, point.load().name)\n"
    )
    lines = installed.python("-c", code).splitlines()
    assert lines
    assert [line for line in lines if len(set(line.split())) != 1] == []


def test_gunicorn_loads_the_front_door(installed: Installed) -> None:
    configuration = str(installed.site / "web" / "gunicorn.conf.py")
    installed.run(installed.script("gunicorn"), "--check-config", "-c", configuration, "web.wsgi:app")
