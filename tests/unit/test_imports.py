"""The tree explains the architecture: imports run downhill, no circles, no drawers."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
# Each package may import itself and these.
DOWNHILL = {"platform": set(), "tasks": {"platform"}, "web": {"platform", "tasks"}, "deploy": {"platform", "tasks"}}
# Inside platform: what the rest stands on; they import only each other.
GROUND = {"errors", "events", "settings", "credentials", "embedded", "endpoints"}
DRAWERS = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "base", "misc"}
PACKAGES = tuple(DOWNHILL)


@dataclass(frozen=True)
class Arrow:
    """One module importing another of ours; ``top`` is false inside a function or under TYPE_CHECKING."""

    source: str
    target: str
    line: int
    top: bool

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}"


def module_files(root: Path = ROOT) -> dict[str, Path]:
    """Dotted name to file, of every module of our packages; a package is its ``__init__``."""
    files = (file for package in PACKAGES for file in sorted((root / package).rglob("*.py")))
    return {_dotted(file.relative_to(root)): file for file in files}


def _dotted(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def arrows(files: dict[str, Path]) -> list[Arrow]:
    return [arrow for name, file in files.items() for arrow in _arrows_of(name, file, set(files))]


def _arrows_of(name: str, file: Path, known: set[str]) -> Iterator[Arrow]:
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node, top in _imports(ast.parse(file.read_text()), top=True):
        for target in _targets(node, package, known):
            if target.partition(".")[0] in PACKAGES and target != name:
                yield Arrow(name, target, node.lineno, top)


def _imports(node: ast.AST, top: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, top
        else:
            yield from _imports(child, top and not _is_later(child))


def _is_later(node: ast.AST) -> bool:
    """Whether what the node holds does not run when the module is imported."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return True
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _targets(node: ast.Import | ast.ImportFrom, package: str, known: set[str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    source = node.module or ""
    if node.level:
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        source = ".".join([*above, *([source] if source else [])])
    # ``from platform import embedded`` imports a module, ``from platform.settings import Settings`` a name of one.
    return [full if (full := f"{source}.{alias.name}") in known else source for alias in node.names]


def uphill(found: list[Arrow]) -> list[str]:
    return [str(a) for a in found if not _is_downhill(a.source.partition(".")[0], a.target.partition(".")[0])]


def _is_downhill(source: str, target: str) -> bool:
    return source == target or target in DOWNHILL[source]


def ground_problems(found: list[Arrow]) -> list[str]:
    inside = [a for a in found if a.source.startswith("platform.") and a.target.startswith("platform.")]
    return [str(a) for a in inside if a.source.split(".")[1] in GROUND and a.target.split(".")[1] not in GROUND]


def cycle(found: list[Arrow]) -> list[str]:
    """One circle of imports made while modules are being imported, or an empty list."""
    graph: dict[str, set[str]] = {}
    for arrow in found:
        if arrow.top:
            graph.setdefault(arrow.source, set()).add(arrow.target)
    done: set[str] = set()
    for start in sorted(graph):
        if circle := _circle_from(start, graph, [], done):
            return circle
    return []


def _circle_from(name: str, graph: dict[str, set[str]], path: list[str], done: set[str]) -> list[str]:
    if name in path:
        return [*path[path.index(name) :], name]
    if name in done:
        return []
    for target in sorted(graph.get(name, ())):
        if circle := _circle_from(target, graph, [*path, name], done):
            return circle
    done.add(name)
    return []


def standard_attributes() -> set[str]:
    """Public names and imports of the standard library's platform module, asked outside this project."""
    code = "import platform; print(*(n for n in dir(platform) if not n.startswith('__')))"
    answer = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


def write_modules(root: Path, **sources: str) -> dict[str, Path]:
    """A little tree to try the rules on: ``platform__settings="import tasks"``."""
    for package in PACKAGES:
        (root / package).mkdir()
        (root / package / "__init__.py").touch()
    for name, source in sources.items():
        (root / f"{name.replace('__', '/')}.py").write_text(source)
    return module_files(root)


def test_imports_run_downhill() -> None:
    assert uphill(arrows(module_files())) == []


def test_ground_modules_stand_on_nothing_above_them() -> None:
    assert ground_problems(arrows(module_files())) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert cycle(arrows(module_files())) == []


def test_no_module_hides_an_attribute_of_the_standard_platform_module() -> None:
    ours = {name.split(".")[1] for name in module_files() if name.startswith("platform.")} - {"__main__"}
    assert ours & (standard_attributes() | {"socket", "subprocess"}) == set()


def test_no_module_is_a_drawer() -> None:
    assert [name for name in module_files() if DRAWERS & set(name.split("."))] == []


def test_every_folder_of_tests_is_a_package() -> None:
    """Else two test files of one name in different folders cannot be collected together."""
    folders = {file.parent for file in (ROOT / "tests").rglob("test_*.py")}
    assert [str(f) for f in sorted(folders) if not (f / "__init__.py").exists()] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("platform__settings", "import tasks"),
        ("tasks__offload", "from web.client import Client"),
        ("tasks__offload", "def late():\n    import deploy.commands"),
        ("web__api", "import deploy"),
        ("deploy__nginx", "from web import wsgi"),
    ],
)
def test_an_uphill_import_is_found(tmp_path: Path, module: str, source: str) -> None:
    assert len(uphill(arrows(write_modules(tmp_path, **{module: source})))) == 1


def test_a_ground_module_leaning_on_the_rest_is_found(tmp_path: Path) -> None:
    files = write_modules(tmp_path, platform__settings="from platform import store", platform__store="")
    assert ground_problems(arrows(files)) == ["platform.settings:1 imports platform.store"]


def test_a_circle_is_found(tmp_path: Path) -> None:
    files = write_modules(
        tmp_path, tasks__a="from . import b", tasks__b="from tasks.c import x", tasks__c="import tasks.a"
    )
    assert cycle(arrows(files)) == ["tasks.a", "tasks.b", "tasks.c", "tasks.a"]


def test_an_import_inside_a_function_closes_no_circle(tmp_path: Path) -> None:
    files = write_modules(tmp_path, tasks__a="import tasks.b", tasks__b="def late():\n    import tasks.a")
    assert cycle(arrows(files)) == []
