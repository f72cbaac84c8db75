"""The project installed into clean virtual environments, as a wheel and editable.

Its dependencies come from this environment, through a folder of links that leaves the project itself out;
everything else about the installation is pip's work.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.processes import ROOT, environment, script, succeed

SITE = Path(sysconfig.get_path("purelib"))
OURS = ("celery_platform-", "_editable_impl_celery_platform", "__editable__", "__pycache__")
SCRIPTS = ("celery", "flask", "gunicorn")


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the project in it; commands run in ``elsewhere``, which knows nothing of it."""

    venv: Path
    elsewhere: Path
    is_editable: bool

    @property
    def site(self) -> Path:
        """Where our packages must be imported from."""
        return ROOT if self.is_editable else next(self.venv.glob("lib/python3*/site-packages"))

    def script(self, name: str) -> str:
        return str(self.venv / "bin" / name)

    def run(self, *command: str) -> str:
        env = environment({"data_dir": self.elsewhere / "data"})
        return succeed(*command, cwd=self.elsewhere, env=env).strip()

    def python(self, *args: str) -> str:
        return self.run(self.script("python"), *args)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built by pip from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session", params=["wheel", "editable"])
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    venv, elsewhere = tmp_path_factory.mktemp("venv"), tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    _lend_dependencies(venv)  # first: the build backend is one of them
    what = ["-e", str(ROOT)] if request.param == "editable" else [str(request.getfixturevalue("wheel"))]
    _pip("--python", str(venv / "bin" / "python"), "install", "--no-deps", "--no-build-isolation", *what)
    return Installed(venv, elsewhere, request.param == "editable")


def _pip(*args: str) -> None:
    quiet = ["--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-index"]
    # pip wants these before or after its command; --python only before.
    before = list(args[:2]) if args[0] == "--python" else []
    command, *rest = args[len(before) :]
    succeed(sys.executable, "-m", "pip", *before, command, *quiet, *rest)


def _lend_dependencies(venv: Path) -> None:
    links = venv / "dependencies"
    links.mkdir()
    for entry in SITE.iterdir():
        if not entry.name.startswith(OURS):
            (links / entry.name).symlink_to(entry)
    site = next(venv.glob("lib/python3*/site-packages"))
    (site / "dependencies.pth").write_text(f"{links}\n")
    for name in SCRIPTS:
        _copy_script(name, venv)


def _copy_script(name: str, venv: Path) -> None:
    _, _, body = Path(script(name)).read_text().partition("\n")
    copy = venv / "bin" / name
    copy.write_text(f"#!{venv / 'bin' / 'python'}\n{body}")
    copy.chmod(0o755)
