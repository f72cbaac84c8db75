"""Both roads to ``import platform`` lead to one module: the standard library's, with our folder as its path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import ROOT

# The standard library's module is found first and completed by tasks; or our own is found first.
STANDARD_FIRST = "import platform; assert not hasattr(platform, '__path__'); import tasks; "
ROOT_FIRST = "import platform; assert hasattr(platform, '__path__'); "
ROADS = [
    pytest.param(STANDARD_FIRST, {}, id="standard-library-first"),
    pytest.param(ROOT_FIRST, {"PYTHONPATH": str(ROOT)}, id="root-first"),
]
Python = Callable[..., str]


@pytest.mark.parametrize(("code", "env"), ROADS)
def test_platform_has_our_folder_as_its_path(fresh_python: Python, code: str, env: dict[str, str]) -> None:
    assert fresh_python("-c", code + "print(*map(str, platform.__path__))", **env) == str(ROOT / "platform")


@pytest.mark.parametrize(("code", "env"), ROADS)
def test_our_modules_are_found_in_it(fresh_python: Python, code: str, env: dict[str, str]) -> None:
    found = fresh_python("-c", code + "import platform.settings; print(platform.settings.__file__)", **env)
    assert found == str(ROOT / "platform" / "settings.py")


@pytest.mark.parametrize(("code", "env"), ROADS)
def test_the_standard_functions_are_still_in_it(fresh_python: Python, code: str, env: dict[str, str]) -> None:
    assert fresh_python("-c", code + "import platform.celery; print(platform.system())", **env) == "Linux"


@pytest.mark.parametrize(("code", "env"), ROADS)
def test_it_is_one_module_with_one_app(fresh_python: Python, code: str, env: dict[str, str]) -> None:
    same = "import sys, platform.celery; from tasks import app; "
    shown = "print(sys.modules['platform'] is platform, platform.celery.app is app)"
    assert fresh_python("-c", code + same + shown, **env) == "True True"


@pytest.mark.parametrize(("code", "env"), ROADS)
def test_it_survives_a_reload(fresh_python: Python, code: str, env: dict[str, str]) -> None:
    again = "import importlib; platform = importlib.reload(platform); import platform.settings; "
    shown = "print(platform.system(), platform.settings.PREFIX, *map(str, platform.__path__))"
    assert fresh_python("-c", code + again + shown, **env) == f"Linux PLATFORM_ {ROOT / 'platform'}"


@pytest.mark.parametrize("package", ["tasks", "web", "deploy"])
def test_every_package_of_ours_completes_it(fresh_python: Python, package: str) -> None:
    assert fresh_python("-c", f"import platform, {package}, platform.settings; print(platform.system())") == "Linux"


def test_the_app_is_imported_from_any_folder(fresh_python: Python, folder: Path) -> None:
    assert fresh_python("-c", "from tasks import app; print(app.main)", cwd=folder) == "platform"


def test_the_app_is_imported_without_the_current_folder_on_the_path(fresh_python: Python, folder: Path) -> None:
    shown = fresh_python("-c", "from tasks import app; print(app.main)", cwd=folder, PYTHONSAFEPATH="1")
    assert shown == "platform"


def test_importing_tasks_is_cheap(fresh_python: Python) -> None:
    """Every celery command imports it for its plug-ins, so it must not bring Celery, Flask or a database."""
    heavy = "{'celery', 'kombu', 'flask', 'sqlalchemy', 'redis', 'pydantic'}"
    assert fresh_python("-c", f"import sys, tasks; print({heavy} & set(sys.modules))") == "set()"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_process_has_it_too(fresh_python: Python, tmp_path: Path, folder: Path, method: str) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        "import multiprocessing, sys\n"
        "import tasks\n"
        "def child(answers):\n"
        "    import platform, platform.settings\n"
        "    answers.put(platform.system() + platform.settings.PREFIX)\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context(sys.argv[1])\n"
        "    answers = context.SimpleQueue()\n"
        "    process = context.Process(target=child, args=(answers,))\n"
        "    process.start()\n"
        "    print(answers.get())\n"
        "    process.join()\n"
    )
    assert fresh_python(str(program), method, cwd=folder) == "LinuxPLATFORM_"


def test_a_child_of_the_root_folder_that_never_imports_tasks_has_it_too(fresh_python: Python) -> None:
    code = (
        "import multiprocessing, platform\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.apply(platform.system))\n"
    )
    assert fresh_python("-c", code, cwd=ROOT) == "Linux"
