"""The lock files: complete, hashed, of one mind, and installable from any index."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.processes import ROOT

RUNTIME, DEVELOPMENT = "requirements.lock", "requirements-dev.lock"
LOCKS = [RUNTIME, DEVELOPMENT]
HOST = re.compile(r"://|\b[a-z0-9-]+\.(?:org|com|net|io|dev|cloud|local|internal)\b|\b\d+\.\d+\.\d+\.\d+:\d+")


def text(name: str) -> str:
    return (ROOT / name).read_text()


def pins(name: str) -> dict[str, list[Requirement]]:
    """Package to its pins; a package may have one for older and one for newer Pythons."""
    found: dict[str, list[Requirement]] = {}
    for line in re.findall(r"^[a-z0-9].*?(?= \\$)", text(name), re.MULTILINE):
        requirement = Requirement(line)
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def versions(lock: str) -> dict[str, set[str]]:
    return {name: {str(pin.specifier) for pin in found} for name, found in pins(lock).items()}


def declared(extra: str = "") -> list[Requirement]:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    return [
        Requirement(line) for line in (project["optional-dependencies"][extra] if extra else project["dependencies"])
    ]


def unmet(wanted: list[Requirement], lock: str) -> list[str]:
    """Requirements that a lock does not pin, or pins to a version they do not allow."""
    pinned = versions(lock)
    return [str(w) for w in wanted if not _is_met(w, pinned.get(canonicalize_name(w.name), set()))]


def _is_met(wanted: Requirement, pinned: set[str]) -> bool:
    return bool(pinned) and all(wanted.specifier.contains(version.removeprefix("==")) for version in pinned)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index(lock: str) -> None:
    options = [
        line for line in text(lock).splitlines() if re.match(r"\s*(-i|--\S*index|--find-links|-f|--trusted)\b", line)
    ]
    assert options == []


@pytest.mark.parametrize("name", [*LOCKS, "Makefile", ".ci/run", "pyproject.toml"])
def test_no_host_is_named(name: str) -> None:
    lines = [line for line in text(name).splitlines() if "127.0.0.1" not in line]
    assert [line for line in lines if HOST.search(line)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(lock: str) -> None:
    blocks = re.split(r"^(?=[a-z0-9])", text(lock), flags=re.MULTILINE)
    assert [block for block in blocks if block.strip() and "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_is_exact(lock: str) -> None:
    loose = [str(p) for found in pins(lock).values() for p in found if not str(p.specifier).startswith("==")]
    assert loose == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_meets_every_dependency(lock: str) -> None:
    assert unmet(declared(), lock) == [], "run `make lock`"


def test_the_development_lock_meets_the_development_extra() -> None:
    assert unmet(declared("dev"), DEVELOPMENT) == [], "run `make lock`"


def test_both_locks_pin_the_same_versions() -> None:
    runtime, development = versions(RUNTIME), versions(DEVELOPMENT)
    assert {name: found for name, found in runtime.items() if not found <= development.get(name, set())} == {}


@pytest.mark.parametrize("name", ["pytest", "ruff", "mypy", "playwright", "uv"])
def test_tools_of_development_are_not_installed_to_run_it(name: str) -> None:
    assert name in pins(DEVELOPMENT)
    assert name not in pins(RUNTIME)
